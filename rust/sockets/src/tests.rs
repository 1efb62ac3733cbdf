use super::*;
use std::net::UdpSocket;
use std::time::Duration;

/// Every way that this kernel has.
fn all() -> impl Iterator<Item = Io> {
    let rings = [false, true].map(|zero_copy| Io::Uring { zero_copy });
    let has_rings = check_uring().map_err(|why| println!("SKIPPED: {why}")).is_ok();
    [Io::Plain, Io::Mmsg, Io::Gso].into_iter().chain(rings.into_iter().filter(move |_| has_rings))
}

/// A socket that receives, and one that is connected to it, on the loopback interface.
fn pair(io: Io) -> [UdpSocket; 2] {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    for socket in [&receiver, &sender] {
        set_timeouts(socket, Duration::from_millis(200)).unwrap();
        if io == Io::Gso {
            set_gro(socket).unwrap();
        }
    }
    [receiver, sender]
}

/// Fills the batch with packets of these lengths, each with its number in all bytes, and sends them all.
fn send(batch: &mut TxBatch, socket: &UdpSocket, lens: &[u16]) {
    for ((number, buffer), len) in (0..).zip(batch.buffers()).zip(lens) {
        buffer.bytes.fill(number);
        *buffer.len = *len;
    }
    let mut sent = 0;
    while sent < lens.len() {
        let accepted = batch.send(socket, sent).unwrap();
        assert!(accepted > 0);
        sent += accepted;
    }
}

/// Receives datagrams until there are as many; returns the first byte and the length of each.
fn receive(batch: &mut RxBatch, socket: &UdpSocket, most: usize, back: bool) -> Vec<(u8, usize)> {
    let mut found = Vec::new();
    while found.len() < most {
        batch.receive(socket).unwrap();
        assert!(!batch.is_empty(), "{found:?}");
        for datagram in batch.datagrams() {
            assert!(datagram.bytes.iter().all(|byte| *byte == datagram.bytes[0]));
            found.push((datagram.bytes[0], datagram.len));
        }
        if back {
            (0..batch.len()).for_each(|index| batch.keep(index));
            let mut sent = 0;
            while sent < batch.len() {
                sent += batch.send_back(socket, sent).unwrap();
            }
        }
    }
    found
}

#[test]
fn every_datagram_arrives_as_it_was_sent_and_comes_back() {
    let lens = [100, 100, 100, 60, 60, 1, 100, 99, 100];
    let expected: Vec<_> = (0..).zip(lens.map(usize::from)).collect();
    for io in all() {
        let [receiver, sender] = pair(io);
        let mut tx = TxBatch::new(io, 9, 100).unwrap();
        send(&mut tx, &sender, &lens);
        let mut rx = RxBatch::new(io, 4, 100, true).unwrap();
        assert_eq!(receive(&mut rx, &receiver, 9, true), expected, "{io:?}");
        let mut rx = RxBatch::new(io, 4, 100, false).unwrap();
        assert_eq!(receive(&mut rx, &sender, 9, false), expected, "{io:?}");
    }
}

#[test]
fn a_message_is_split_and_joined_if_its_datagrams_are_equal() {
    let [receiver, sender] = pair(Io::Gso);
    let mut tx = TxBatch::new(Io::Gso, 40, 100).unwrap();
    send(&mut tx, &sender, &[100; 40]);
    let mut rx = RxBatch::new(Io::Gso, 1, 100, true).unwrap();
    rx.receive(&receiver).unwrap();
    assert_eq!(rx.len(), 40, "in one message");
}

#[test]
fn a_datagram_that_is_too_long_tells_its_length() {
    for io in all().filter(|io| *io != Io::Gso) {
        let [receiver, sender] = pair(io);
        sender.send(&[3; 200]).unwrap();
        let mut rx = RxBatch::new(io, 2, 100, true).unwrap();
        rx.receive(&receiver).unwrap();
        let datagram = rx.datagrams().next().unwrap();
        assert_eq!((datagram.bytes.len(), datagram.len), (100, 200));
        assert_eq!(datagram.name.address(), sender.local_addr().unwrap());
    }
}

#[test]
fn nothing_arrives_in_time() {
    let [receiver, _] = pair(Io::Mmsg);
    set_timeouts(&receiver, Duration::from_millis(1)).unwrap();
    let mut rx = RxBatch::new(Io::Mmsg, 2, 100, true).unwrap();
    rx.receive(&receiver).unwrap();
    assert!(rx.is_empty());
}

#[test]
fn what_was_reflected_is_not_received_again() {
    let [receiver, sender] = pair(Io::Mmsg);
    set_timeouts(&receiver, Duration::from_millis(1)).unwrap();
    attach_min_ttl_filter(&receiver, 32).unwrap();
    let mut rx = RxBatch::new(Io::Mmsg, 2, 100, true).unwrap();
    for (ttl, arrives) in [(64, true), (33, true), (32, false), (1, false)] {
        sender.set_ttl(ttl).unwrap();
        sender.send(&[0]).unwrap();
        rx.receive(&receiver).unwrap();
        assert_eq!(rx.len(), usize::from(arrives), "{ttl}");
    }
    assert_eq!(receiver.ttl().unwrap(), 32);
    assert_eq!(drops(&receiver).unwrap(), 2);
}

#[test]
fn a_missing_io_uring_is_explained() {
    for (code, expected) in [
        (libc::ENOSYS, "no io_uring"),
        (libc::EPERM, "kernel.io_uring_disabled"),
        (libc::EINVAL, "Linux 6.1"),
        (libc::EMFILE, "io_uring: Too many open files"),
    ] {
        let told = crate::ring::lack(&std::io::Error::from_raw_os_error(code));
        assert!(told.contains(expected) && !told.contains('\n'), "{told}");
    }
}

/// More than there are buffers, so that the request ends and is made again.
#[test]
fn a_ring_receives_more_than_it_has_buffers() {
    for io in all().filter(|io| matches!(io, Io::Uring { .. })) {
        let [receiver, sender] = pair(io);
        let mut tx = TxBatch::new(io, 50, 100).unwrap();
        let mut rx = RxBatch::new(io, 3, 100, false).unwrap();
        for _ in 0..3 {
            send(&mut tx, &sender, &[100; 50]);
            let found = receive(&mut rx, &receiver, 50, false);
            assert_eq!(found, (0..50).map(|number| (number, 100)).collect::<Vec<_>>());
        }
    }
}

/// A request that fails cancels those behind it, so that what was accepted comes first.
#[test]
fn a_message_that_is_refused_holds_back_those_behind_it() {
    for io in all().filter(|io| *io != Io::Plain) {
        let [receiver, sender] = pair(io);
        allow_no_fragments(&sender).unwrap();
        let mut tx = TxBatch::new(io, 5, 65_535).unwrap();
        // The third is longer than any datagram may be.
        for (buffer, len) in tx.buffers().zip([60, 70, 65_535, 80, 90]) {
            *buffer.len = len;
        }
        assert_eq!(tx.send(&sender, 0).unwrap(), 2, "{io:?}");
        let error = tx.send(&sender, 2).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE), "{io:?}");
        assert_eq!(tx.send(&sender, 3).unwrap(), 2, "{io:?}");
        let mut rx = RxBatch::new(io, 8, 100, true).unwrap();
        let mut lens = Vec::new();
        while lens.len() < 4 {
            rx.receive(&receiver).unwrap();
            lens.extend(rx.datagrams().map(|datagram| datagram.len));
        }
        assert_eq!(lens, [60, 70, 80, 90], "{io:?}");
    }
}
