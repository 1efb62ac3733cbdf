//! What a reflector does to packets on purpose, so that the sender's findings can be checked
//! against known numbers.
//!
//! A packet gets at most one impairment, apart from the delay. So each number that the reflector
//! counts is a number that the sender must report.

use super::bucket::Bucket;
use super::pacer::Rate;
use crate::wire::payload::mix;
use std::str::FromStr;
use std::time::Duration;

/// Probabilities are in units of 2^-63.
const ONE: u64 = 1 << 63;

/// The impairments asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impairments {
    /// Share of packets, 0 to 1, that is not sent back.
    pub drop: f64,
    /// Share that is sent twice.
    pub duplicate: f64,
    /// Share in which one bit after the Ethernet header is flipped.
    pub corrupt: f64,
    /// Share that is sent after later packets.
    pub reorder: f64,
    /// How many later packets are sent before it.
    pub depth: u16,
    /// How long every packet is held.
    pub delay: Duration,
    /// Nothing is sent back during this time: start, relative to the first packet, and length.
    pub blackout: Option<(Duration, Duration)>,
    /// The rate above which packets are dropped.
    pub cap: Option<Cap>,
    /// Seed of the random generator.
    pub seed: u64,
}

/// A rate that a reflector does not exceed: each of its rx queues has an equal share, and drops what
/// exceeds that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cap {
    /// The rate of all rx queues together.
    pub rate: Rate,
    /// How many packets may pass at once, after a pause.
    pub depth: u32,
}

impl Cap {
    /// Depth unless given: the packets of 2 ms, which a rate of one-second trials exceeds by 0.2 %,
    /// and no less than a burst.
    fn default_depth(rate: Rate) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^31")]
        let packets = (rate.pps() * 0.002) as u32;
        packets.max(32)
    }

    /// The bucket of one of `workers` workers.
    fn bucket(self, workers: u16) -> Option<Bucket> {
        let depth = self.depth.div_ceil(workers.into());
        Some(Bucket::new(self.rate.share(workers)?, depth))
    }
}

impl FromStr for Cap {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (rate, depth) = text.split_once(':').map_or((text, None), |(r, d)| (r, Some(d)));
        let rate = rate_of(rate).ok_or(())?;
        let depth = match depth {
            None => Self::default_depth(rate),
            Some(depth) => depth.parse().ok().filter(|depth| *depth > 0).ok_or(())?,
        };
        Ok(Self { rate, depth })
    }
}

/// A rate in packets per second such as `100k` or `3.5Mpps`.
fn rate_of(text: &str) -> Option<Rate> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix("pps").unwrap_or(&lower);
    let units = [("k", 1e3), ("m", 1e6), ("g", 1e9)];
    let with_unit =
        units.iter().find_map(|(unit, scale)| Some((number.strip_suffix(unit)?, *scale)));
    let (number, scale) = with_unit.unwrap_or((number, 1.0));
    Rate::per_second(number.parse::<f64>().ok()? * scale)
}

/// Longest delay: held packets must fit in memory.
const DELAY_MAX: Duration = Duration::from_secs(10);
/// Maximum number of later packets that a packet may be sent after.
const DEPTH_MAX: u16 = 1000;

impl FromStr for Impairments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for word in text.split(',') {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let known = match name {
                "drop" => share(value).map(|share| all.drop = share),
                "duplicate" => share(value).map(|share| all.duplicate = share),
                "corrupt" => share(value).map(|share| all.corrupt = share),
                "reorder" => value.split_once(':').and_then(|(p, depth)| {
                    all.depth = depth.parse().ok().filter(|d| (1..=DEPTH_MAX).contains(d))?;
                    share(p).map(|share| all.reorder = share)
                }),
                "delay" => duration(value)
                    .filter(|delay| *delay <= DELAY_MAX)
                    .map(|delay| all.delay = delay),
                "blackout" => value.split_once(':').and_then(|(start, length)| {
                    all.blackout = Some((duration(start)?, duration(length)?));
                    Some(())
                }),
                "cap" => value.parse().ok().map(|cap| all.cap = Some(cap)),
                _ => None,
            };
            known.ok_or_else(|| {
                format!(
                    "'{word}': expected drop=P, duplicate=P, corrupt=P, reorder=P:DEPTH, delay=TIME, \
                     blackout=START:TIME or cap=RATE[:PACKETS], separated by commas, with P from 0 to 1, \
                     DEPTH from 1 to {DEPTH_MAX}, times such as 50us, 2ms or 1.5s (a delay of {} s at \
                     most), and RATE in packets per second such as 100k",
                    DELAY_MAX.as_secs()
                )
            })?;
        }
        let sum = all.drop + all.duplicate + all.corrupt + all.reorder;
        if sum > 1.0 {
            return Err(format!(
                "the shares add up to {sum}: a packet gets at most one impairment"
            ));
        }
        Ok(all)
    }
}

fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

/// A time such as `50us`, `2ms`, `1.5s` or `2h 30m`: what `jiff` calls friendly durations, not below
/// 0.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    text.parse::<jiff::SignedDuration>().ok()?.try_into().ok()
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing out of the ordinary.
    Pass,
    /// It is not sent back.
    Drop,
    /// It is not sent back, because it exceeds the cap.
    Cap,
    /// It is sent twice.
    Duplicate,
    /// One of its bits is flipped: this number modulo the number of bits is its index.
    Corrupt(u64),
    /// It is sent after later packets.
    Reorder,
}

/// Draws the fates of the packets of one worker.
pub struct Dice {
    seed: u64,
    packets: u64,
    /// Upper bounds of a roll for each fate: drop, duplicate, corrupt, reorder.
    below: [u64; 4],
    blackout_ns: Option<(u64, u64)>,
    first_ns: Option<u64>,
    cap: Option<Bucket>,
}

impl Dice {
    /// The dice of worker `worker` of `workers`.
    #[must_use]
    pub fn new(impairments: &Impairments, worker: u16, workers: u16) -> Self {
        let Impairments { drop, duplicate, corrupt, reorder, .. } = *impairments;
        let mut sum = 0.0;
        let below = [drop, duplicate, corrupt, reorder].map(|share| {
            sum += share;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 2^63"
            )]
            let threshold = (sum.min(1.0) * ONE as f64) as u64;
            threshold
        });
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            seed: mix(impairments.seed ^ mix(u64::from(worker))),
            packets: 0,
            below,
            blackout_ns: impairments.blackout.map(|(start, length)| (ns(start), ns(length))),
            first_ns: None,
            cap: impairments.cap.and_then(|cap| cap.bucket(workers)),
        }
    }

    /// The fate of the next packet, which arrived at `now_ns`.
    pub fn roll(&mut self, now_ns: u64) -> Fate {
        self.packets += 1;
        if self.cap.as_mut().is_some_and(|cap| !cap.take(now_ns)) {
            return Fate::Cap;
        }
        if let Some((start_ns, length_ns)) = self.blackout_ns {
            let first_ns = *self.first_ns.get_or_insert(now_ns);
            if (now_ns - first_ns).checked_sub(start_ns).is_some_and(|since| since < length_ns) {
                return Fate::Drop;
            }
        }
        let random = mix(self.seed ^ self.packets);
        let roll = random >> 1;
        let [drop, duplicate, corrupt, reorder] = self.below;
        match roll {
            _ if roll < drop => Fate::Drop,
            _ if roll < duplicate => Fate::Duplicate,
            _ if roll < corrupt => Fate::Corrupt(mix(random)),
            _ if roll < reorder => Fate::Reorder,
            _ => Fate::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_have_units() {
        for (text, ns) in [
            ("50us", 50_000),
            ("1.5s", 1_500_000_000),
            ("100000000.000000001s", 100_000_000_000_000_001),
            ("1m 30s", 90_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text).unwrap().as_nanos(), ns, "{text}");
        }
        for refused in ["", "5", "-1s", "1x", "s", "inf", "1e3s", "99999999999999999999s"] {
            assert_eq!(duration(refused), None, "{refused}");
        }
    }

    #[test]
    fn words_are_read() {
        let all: Impairments =
            "drop=1e-6,duplicate=0.25,corrupt=0,reorder=0.1:7,delay=1.5ms,blackout=2s:30ms,cap=1.5Mpps:9"
                .parse()
                .unwrap();
        let expected = Impairments {
            drop: 1e-6,
            duplicate: 0.25,
            corrupt: 0.0,
            reorder: 0.1,
            depth: 7,
            delay: Duration::from_micros(1500),
            blackout: Some((Duration::from_secs(2), Duration::from_millis(30))),
            cap: Rate::new(1_500_000, 1_000_000_000).map(|rate| Cap { rate, depth: 9 }),
            seed: 0,
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        for text in [
            "",
            "drop",
            "drop=",
            "drop=2",
            "drop=-0.1",
            "drop=NaN",
            "loss=0.1",
            "reorder=0.1",
            "reorder=0.1:0",
            "reorder=0.1:1001",
            "delay=5",
            "delay=11s",
            "delay=-1s",
            "blackout=1s",
            "drop=0.1,,",
            "cap=",
            "cap=0",
            "cap=-5k",
            "cap=2G",
            "cap=10Gbps",
            "cap=100k:0",
            "cap=100k:x",
        ] {
            let error = text.parse::<Impairments>().unwrap_err();
            assert!(error.contains("expected drop=P"), "{text}: {error}");
        }
        let error = "drop=0.6,corrupt=0.6".parse::<Impairments>().unwrap_err();
        assert!(error.contains("add up to 1.2"), "{error}");
    }

    #[test]
    fn fates_come_as_often_as_asked_and_the_same_for_a_seed() {
        let impairments: Impairments =
            "drop=0.1,duplicate=0.2,corrupt=0.3,reorder=0.25:1".parse().unwrap();
        let rolls = |seed| {
            let mut dice = Dice::new(&Impairments { seed, ..impairments.clone() }, 0, 1);
            (0..100_000).map(|_| dice.roll(0)).collect::<Vec<_>>()
        };
        let fates = rolls(1);
        assert_eq!(fates, rolls(1));
        assert_ne!(fates, rolls(2));
        let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        // 7 standard deviations.
        for (count, expected) in [
            (count(|fate| *fate == Fate::Drop), 10_000),
            (count(|fate| *fate == Fate::Duplicate), 20_000),
            (count(|fate| matches!(fate, Fate::Corrupt(_))), 30_000),
            (count(|fate| *fate == Fate::Reorder), 25_000usize),
        ] {
            assert!(count.abs_diff(expected) < 1000, "{count} of {expected}");
        }
    }

    #[test]
    fn all_and_nothing_are_exact() {
        let dice = |text: &str| Dice::new(&text.parse().unwrap(), 3, 4);
        let (mut all, mut nothing) = (dice("drop=1"), dice("drop=0"));
        for now in 0..100_000 {
            assert_eq!((all.roll(now), nothing.roll(now)), (Fate::Drop, Fate::Pass));
        }
    }

    #[test]
    fn a_blackout_begins_after_the_first_packet() {
        let mut dice = Dice::new(&"blackout=1us:2us".parse().unwrap(), 0, 1);
        let dark: Vec<u64> = (0..5000).filter(|now| dice.roll(7_000 + now) == Fate::Drop).collect();
        assert_eq!(dark, (1000..3000).collect::<Vec<_>>());
    }

    #[test]
    fn what_exceeds_the_cap_is_dropped_by_name_and_the_rest_as_ever() {
        // Two workers of 50 kpps each, with one packet at once: one packet in 20 us.
        let impairments: Impairments = "cap=100k:2,drop=0.5".parse().unwrap();
        let mut dice = Dice::new(&impairments, 1, 2);
        let fates: Vec<Fate> = (0..100_000).map(|packet| dice.roll(packet * 5_000)).collect();
        let mut others = fates.iter().enumerate().filter(|(_, fate)| **fate != Fate::Cap);
        assert!(others.clone().all(|(packet, _)| packet % 4 == 0));
        assert_eq!(others.clone().count(), 25_000);
        assert!(others.any(|(_, fate)| *fate == Fate::Drop));
        for (cap, depth) in [("cap=10k", 32), ("cap=1M", 2000), ("cap=1e5:1", 1)] {
            let impairments: Impairments = cap.parse().unwrap();
            assert_eq!(impairments.cap.unwrap().depth, depth, "{cap}");
        }
    }
}
