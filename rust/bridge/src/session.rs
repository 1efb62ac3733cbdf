//! The runs of a command line.

use crate::config::Config;
use crate::ffi::bridge::{
    self, End, Facts, Figure, Finished, Frame, MacAddress, Next, PortEnd, PortLimits, PortRss,
    QueueFigures, Stage, Tick, Trial,
};
use dpdkproj_core::report;
use dpdkproj_core::run::config::{PortLimits as CorePortLimits, Trial as CoreTrial};
use dpdkproj_core::run::{Driver, Facts as CoreFacts, Phase, Run};
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_core::wire::sizes::Sizes;
use dpdkproj_core::wire::toeplitz::Rss;
use dpdkproj_core::work::pacer::Rate;

/// See [`report::Session`].
pub struct Session(report::Session);

pub(crate) fn open_session(config: &Config, command: Vec<String>) -> Result<Box<Session>, String> {
    let session = report::Session::open(config.run()?.clone(), command)?;
    Ok(Box::new(Session(session)))
}

impl Session {
    /// The current run, from which workers are created.
    pub(crate) fn run(&self) -> Result<&Run, String> {
        self.0.run()
    }

    pub(crate) fn check_port(&mut self, limits: PortLimits) -> Result<(), String> {
        let PortLimits { max_rx_queues, max_tx_queues, mtu, min_mtu, max_mtu } = limits;
        let mtus = (min_mtu, max_mtu);
        self.0.check_port(CorePortLimits { max_rx_queues, max_tx_queues, mtu, mtus })
    }

    pub(crate) fn link_is_up(&mut self, link_mbps: u32, rss: Vec<PortRss>) -> Result<(), String> {
        let rss: Vec<_> = rss.iter().map(|rss| Rss::new(&rss.key, &rss.table)).collect();
        self.0.link_is_up((link_mbps > 0).then_some(link_mbps), &rss)
    }

    pub(crate) fn next(
        &mut self,
        macs: &[MacAddress],
        stop_requested: bool,
    ) -> Result<Next, String> {
        let macs: Vec<_> = macs.iter().map(|mac| Mac(mac.bytes)).collect();
        let (stage, warmup_ns, profile) = match self.0.next(&macs, stop_requested)? {
            report::Next::Preliminary { warmup_ns, profile } => {
                (Stage::Preliminary, warmup_ns, Some(profile))
            }
            report::Next::Measurement { profile } => (Stage::Measurement, 0, Some(profile)),
            report::Next::Waiting => (Stage::Waiting, 0, None),
            report::Next::NoPeer => (Stage::NoPeer, 0, None),
            report::Next::Nothing => (Stage::Nothing, 0, None),
        };
        let tx_mode = profile.and_then(|profile| profile.tx_mode);
        Ok(Next {
            stage,
            warmup_ns,
            frame_len: profile.map_or(0, |profile| profile.frame_len),
            paced: tx_mode.is_some(),
            tx_mode: tx_mode.unwrap_or_default().into(),
            prepares: profile.is_some_and(|profile| profile.prepares),
            several_sizes: profile.is_some_and(|profile| profile.several_sizes),
        })
    }

    pub(crate) fn add_trial(&mut self, trial: &Trial) -> Result<(), String> {
        let &Trial { packets, period_ns, duration_ns, payload_len } = trial;
        self.0.add_trial(&CoreTrial {
            rate: Rate::new(packets, period_ns),
            pattern: None,
            duration_ns: Some(duration_ns),
            count: None,
            sizes: Sizes::one(payload_len),
        })
    }

    pub(crate) fn begin_on(&mut self, cpus: Vec<u32>) -> Result<(), String> {
        self.0.begin_on(cpus)
    }

    pub(crate) fn tick(&mut self, now_ns: u64, facts: &Facts) -> Tick {
        let facts = CoreFacts {
            port_missed: facts.port_says_missed.then_some(facts.port_missed),
            ports_removed: facts.ports_removed,
            removals_requested: facts.removals_requested,
            links_down: facts.links_down,
            links_lost: facts.links_lost,
            ports_recovering: facts.ports_recovering,
            ports_failed: facts.ports_failed,
            stop_requested: facts.stop_requested,
        };
        let tick = self.0.tick(now_ns, facts);
        let phase = match tick.phase {
            Phase::Run => bridge::Phase::Run,
            Phase::Drain => bridge::Phase::Drain,
            Phase::Over => bridge::Phase::Over,
        };
        let telemetry = self.0.take_telemetry().unwrap_or_default();
        Tick { phase, next_ns: tick.next_ns, telemetry: telemetry.into() }
    }

    pub(crate) unsafe fn receive_slow(&mut self, now_ns: u64, port: u16, frame: &Frame) {
        // SAFETY: C++ lends a readable frame for this call.
        self.0.receive_slow(now_ns, port, unsafe { frame.bytes() });
    }

    pub(crate) unsafe fn send_slow(&mut self, port: u16, frame: &mut Frame) -> bool {
        while let Some(bytes) = self.0.send_slow(port) {
            // SAFETY: C++ lends a writable frame for this call.
            let room = unsafe { frame.bytes_mut() };
            let (Some(place), Ok(len)) = (room.get_mut(..bytes.len()), u16::try_from(bytes.len()))
            else {
                continue;
            };
            place.copy_from_slice(&bytes);
            frame.len = len;
            return true;
        }
        false
    }

    pub(crate) fn finish(&mut self, end: End) -> Finished {
        let sync = end.clock_sync;
        let report::Finished { summary, problem, limits_broken } = self.0.finish(report::End {
            now_ns: end.now_ns,
            ports: end.ports.into_iter().map(Into::into).collect(),
            dpdk_version: end.dpdk_version,
            started_unix_ns: end.started_unix_ns,
            clock_sync: sync.is_known.then_some(report::ClockSync {
                synchronised: sync.synchronised,
                max_error_us: sync.max_error_us,
                estimated_error_us: sync.estimated_error_us,
            }),
        });
        Finished { summary, problem: problem.unwrap_or_default(), limits_broken }
    }
}

impl From<report::Telemetry> for bridge::Telemetry {
    fn from(telemetry: report::Telemetry) -> Self {
        let report::Telemetry { summary, queues, histogram } = telemetry;
        let all = |figures: report::Figures| {
            figures.into_iter().map(|(name, value)| Figure { name, value }).collect()
        };
        let queues = queues.into_iter();
        Self {
            summary: all(summary),
            queues: queues.map(|(name, own)| QueueFigures { name, figures: all(own) }).collect(),
            histogram: all(histogram),
        }
    }
}

impl From<PortEnd> for report::PortEnd {
    fn from(end: PortEnd) -> Self {
        let counters = end.counters.into_iter();
        Self {
            name: end.name,
            driver_name: end.driver,
            driver: Driver {
                delivered: end.delivered,
                accepted: end.accepted,
                control_sent: end.control_sent,
            },
            counters: counters.map(|counter| (counter.name, counter.value)).collect(),
            is_removed: end.is_removed,
            checksums: end.offloads.into(),
            inserts_vlan: end.offloads.vlan,
        }
    }
}
