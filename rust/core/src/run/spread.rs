//! Over which rx queues the packets of a run come back, as far as that is known beforehand.

use super::config::Config;
use crate::wire::toeplitz::Rss;

/// A queue is reported if its share is at least this multiple of the mean of all queues.
const TOO_MUCH: u64 = 2;

/// By rx queue of port `port`: the number of source ports whose packets come back to it, if the port
/// spreads them as `rss` says, and the peer swaps addresses and ports. `None` in a mode that does not
/// measure.
#[must_use]
pub fn flows_by_queue(config: &Config, port: u16, rss: &Rss) -> Option<Vec<u64>> {
    let sendrecv = config.sendrecv.as_ref()?;
    let ends = sendrecv.ends[sendrecv.ends_of(port)];
    let back = ends.addresses.swapped();
    let mut flows = vec![0; usize::from(config.rx_queues)];
    let first = u32::from(sendrecv.src_ports.first());
    let ports =
        (first..first + sendrecv.src_ports.count()).filter_map(|port| u16::try_from(port).ok());
    for src_port in ports {
        // A queue that does not exist would be the driver's mistake.
        if let Some(flows) = flows.get_mut(usize::from(rss.queue(back, ends.dst_port, src_port))) {
            *flows += 1;
        }
    }
    Some(flows)
}

/// A warning, if one queue gets far more flows than others.
#[must_use]
pub fn warning(config: &Config, port: u16, flows: &[u64]) -> Option<String> {
    let (queue, most) = (0..).zip(flows).max_by_key(|(_, flows)| **flows)?;
    let (all, queues) = (flows.iter().sum::<u64>(), flows.len() as u64);
    let has_too_much = queues > 1 && most * queues >= TOO_MUCH * all;
    has_too_much.then(|| {
        let ports = config.sendrecv.as_ref().map_or((0, 0), |sendrecv| {
            (u32::from(sendrecv.src_ports.first()), sendrecv.src_ports.count())
        });
        format!(
            "--src-port-range {}-{}: {} RSS will send {most} of {all} flows to rx queue {queue} of \
             {queues} on the way back; more ports spread more evenly",
            ports.0,
            ports.0 + ports.1.saturating_sub(1),
            config.ports().whose(port),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::config;
    use crate::wire::toeplitz::tests::{MICROSOFT, rss};

    const LINE: &str = "sendrecv --dest-mac 02:00:00:00:00:02 --src 10.0.0.1 --dest 10.0.0.2:7";

    #[test]
    fn default_ports_come_back_to_all_queues_alike() {
        for queues in [2, 4, 8, 16] {
            let config = config(&format!("{LINE} -r {queues}"));
            let flows = flows_by_queue(&config, 0, &rss(128, queues)).unwrap();
            assert_eq!(flows, vec![256 / u64::from(queues); queues.into()]);
            assert_eq!(warning(&config, 0, &flows), None);
        }
        // 128 entries are 8 or 9 for each of 15 queues.
        let config = config(&format!("{LINE} -r 15"));
        let flows = flows_by_queue(&config, 0, &rss(128, 15)).unwrap();
        assert_eq!(flows, [18, 18, 17, 19, 17, 20, 18, 17, 18, 13, 17, 16, 15, 17, 16]);
        assert_eq!(warning(&config, 0, &flows), None);
    }

    #[test]
    fn a_queue_that_gets_too_much_is_told_beforehand() {
        let config = config(&format!("{LINE} -r 4 --src-port-range 5-7"));
        let all_to_one = Rss::new(&MICROSOFT, &[2]).unwrap();
        let flows = flows_by_queue(&config, 0, &all_to_one).unwrap();
        assert_eq!(flows, [0, 0, 3, 0]);
        let said = "--src-port-range 5-7: the port's RSS will send 3 of 3 flows to rx queue 2 of 4 on the \
                    way back; more ports spread more evenly";
        assert_eq!(warning(&config, 0, &flows).as_deref(), Some(said));
        assert_eq!(warning(&config, 0, &[1, 1, 1, 0]), None);
    }

    #[test]
    fn other_modes_have_no_flows_of_their_own() {
        assert_eq!(flows_by_queue(&config("reflect -r 2 -t 2"), 0, &rss(128, 2)), None);
    }
}
