//! What a reflector does to packets on purpose, so that the sender's findings can be checked
//! against known numbers.
//!
//! A packet gets at most one impairment, apart from the delay. So each number that the reflector
//! counts is a number that the sender must report.

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
    /// After how many.
    pub depth: u16,
    /// How long every packet is held.
    pub delay: Duration,
    /// Nothing is sent back during this time: start, relative to the first packet, and length.
    pub blackout: Option<(Duration, Duration)>,
    /// Seed of the random generator.
    pub seed: u64,
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
                _ => None,
            };
            known.ok_or_else(|| {
                format!(
                    "'{word}': expected drop=P, duplicate=P, corrupt=P, reorder=P:DEPTH, delay=TIME or \
                     blackout=START:TIME, separated by commas, with P from 0 to 1, DEPTH from 1 to \
                     {DEPTH_MAX}, and times such as 50us, 2ms or 1.5s (a delay of {} s at most)",
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
}

impl Dice {
    /// The dice of worker `worker`.
    #[must_use]
    pub fn new(impairments: &Impairments, worker: u16) -> Self {
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
        }
    }

    /// The fate of the next packet, which arrived at `now_ns`.
    pub fn roll(&mut self, now_ns: u64) -> Fate {
        self.packets += 1;
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
            "drop=1e-6,duplicate=0.25,corrupt=0,reorder=0.1:7,delay=1.5ms,blackout=2s:30ms"
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
            let mut dice = Dice::new(&Impairments { seed, ..impairments.clone() }, 0);
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
        let dice = |text: &str| Dice::new(&text.parse().unwrap(), 3);
        let (mut all, mut nothing) = (dice("drop=1"), dice("drop=0"));
        for now in 0..100_000 {
            assert_eq!((all.roll(now), nothing.roll(now)), (Fate::Drop, Fate::Pass));
        }
    }

    #[test]
    fn a_blackout_begins_after_the_first_packet() {
        let mut dice = Dice::new(&"blackout=1us:2us".parse().unwrap(), 0);
        let dark: Vec<u64> = (0..5000).filter(|now| dice.roll(7_000 + now) == Fate::Drop).collect();
        assert_eq!(dark, (1000..3000).collect::<Vec<_>>());
    }
}
