//! The command line, as C++ sees it.

use crate::ffi::bridge::{self, MacAddress, Mode, Options, TxOffloads};
use dpdkproj_core::cli::{Parsed, Program, parse_in};
use dpdkproj_core::count;
use dpdkproj_core::run::config::{Config as CoreConfig, Offload, Sendrecv};
use dpdkproj_core::run::mode;
use dpdkproj_core::run::mode::{ModeInfo, OptionValue};
use dpdkproj_core::wire::flow::{VlanId, Vlans};
use dpdkproj_core::wire::layout::{IpVersion, Layout};
use dpdkproj_core::work::pacer::TxMode;

/// The parsed command line.
pub struct Config(Parsed);

pub(crate) fn parse_args(
    eal: Vec<String>,
    args: Vec<String>,
    modes: Vec<Mode>,
) -> Result<Box<Config>, String> {
    let modes: Vec<_> = modes.into_iter().map(ModeInfo::from).collect();
    let variable = |name: &str| std::env::var(name).ok();
    Ok(Box::new(Config(parse_in(Program::Ports, &eal, &args, &modes, &variable)?)))
}

impl From<Mode> for ModeInfo {
    fn from(Mode { name, about, meaning, queues, options, counters }: Mode) -> Self {
        let meaning = match meaning {
            bridge::Meaning::Measures => mode::Meaning::Measures,
            bridge::Meaning::Returns => mode::Meaning::Returns,
            bridge::Meaning::Forwards => mode::Meaning::Forwards,
            // An unknown value guarantees nothing, so nothing is checked.
            _ => mode::Meaning::Counts,
        };
        let queues = match queues {
            bridge::Queues::Paired => mode::Queues::Paired,
            bridge::Queues::Own => mode::Queues::Own,
            bridge::Queues::RxOnly => mode::Queues::RxOnly,
            _ => mode::Queues::Mixed,
        };
        let options = options.into_iter().map(Into::into).collect();
        let counters = counters.into_iter().map(Into::into).collect();
        Self { name, about, meaning, queues, options, counters }
    }
}

impl From<bridge::ModeOption> for mode::ModeOption {
    fn from(option: bridge::ModeOption) -> Self {
        Self {
            name: option.name,
            short: None,
            kind: match option.kind {
                bridge::OptionKind::Flag => mode::OptionKind::Flag,
                bridge::OptionKind::Number => mode::OptionKind::Number,
                bridge::OptionKind::Duration => mode::OptionKind::Duration,
                _ => mode::OptionKind::Text,
            },
            value_name: option.value_name,
            help: option.help,
            default_value: option.has_default.then_some(option.default_value),
            range: option.min..=option.max,
        }
    }
}

impl From<bridge::ModeCounter> for count::ModeCounter {
    fn from(bridge::ModeCounter { name, help, place }: bridge::ModeCounter) -> Self {
        let place = match place {
            bridge::LedgerPlace::Dropped => count::LedgerPlace::Dropped,
            bridge::LedgerPlace::Refused => count::LedgerPlace::Refused,
            _ => count::LedgerPlace::Note,
        };
        Self { name, help, place }
    }
}

impl From<&(String, OptionValue)> for bridge::OptionValue {
    fn from((name, value): &(String, OptionValue)) -> Self {
        let (kind, number, text) = match value {
            OptionValue::Flag(given) => (bridge::OptionKind::Flag, u64::from(*given), ""),
            OptionValue::Number(number) => (bridge::OptionKind::Number, *number, ""),
            OptionValue::DurationNs(ns) => (bridge::OptionKind::Duration, *ns, ""),
            OptionValue::Text(text) => (bridge::OptionKind::Text, 0, text.as_str()),
        };
        Self { name: name.clone(), kind, number, text: text.into() }
    }
}

impl Config {
    pub(crate) fn run(&self) -> Result<&CoreConfig, String> {
        match &self.0 {
            Parsed::Run(config) => Ok(config),
            Parsed::Print(_) | Parsed::Answer { .. } => {
                Err("a text was asked for: there is nothing to run".into())
            }
        }
    }

    pub(crate) fn options(&self) -> Options {
        let config = match &self.0 {
            Parsed::Run(config) => config,
            Parsed::Print(text) => return Options { help: text.clone(), ..Options::default() },
            Parsed::Answer { text, code } => {
                return Options { help: text.clone(), help_code: *code, ..Options::default() };
            }
        };
        let layout = config.sendrecv.as_ref().map(Sendrecv::layout);
        let len = |len: fn(Layout) -> usize| {
            layout.and_then(|layout| u16::try_from(len(layout)).ok()).unwrap_or_default()
        };
        Options {
            help: String::new(),
            help_code: 0,
            eal: config.eal.clone(),
            args: config.args.clone(),
            mode: config.mode.clone(),
            ports: config.ports.clone(),
            rx_queues: config.rx_queues,
            tx_queues: config.tx_queues,
            rx_descriptors: config.rx_descriptors,
            tx_descriptors: config.tx_descriptors,
            rx_burst: config.rx_burst,
            tx_burst: config.tx_burst,
            mtu: config.mtu.unwrap_or(0),
            offloads: offloads(config),
            offloads_required: config.offload == Offload::On && config.sendrecv.is_some(),
            vlan_tci: vlan_to_insert(config).map_or(0, VlanId::value),
            wait_link_ms: config.wait_link_ns / 1_000_000,
            send_on_timestamp: config.tx_mode() == Some(TxMode::Hardware),
            l2_len: len(Layout::l2_len),
            l3_len: len(Layout::l3_len),
            ipv6: layout.is_some_and(|layout| layout.ip == IpVersion::V6),
            impaired: config.impairments.is_some(),
            delay_ns: config.impairments.as_ref().map_or(0, |impairments| {
                u64::try_from(impairments.delay.as_nanos()).unwrap_or(u64::MAX)
            }),
            reorder_depth: config.impairments.as_ref().map_or(0, |impairments| impairments.depth),
            has_files: config.stats_path.is_some()
                || config.queues_path.is_some()
                || config.hlog_path.is_some()
                || config.json_path.is_some()
                || config.pcap_path.is_some()
                || config.trials,
            trials: config.trials,
            live_view: config.view,
            of_mode: config.mode_options.iter().map(Into::into).collect(),
            multicast: config.multicast().map(|mac| MacAddress { bytes: mac.0 }).collect(),
        }
    }
}

/// The tag that a port can insert.
fn vlan_to_insert(config: &CoreConfig) -> Option<VlanId> {
    match config.sendrecv.as_ref()?.vlans {
        Vlans::One(id) => Some(id),
        Vlans::None | Vlans::Two { .. } => None,
    }
}

fn offloads(config: &CoreConfig) -> TxOffloads {
    let is_v6 =
        config.sendrecv.as_ref().is_some_and(|sendrecv| sendrecv.layout().ip == IpVersion::V6);
    match config.offload {
        Offload::Off => TxOffloads::default(),
        Offload::Auto => TxOffloads { ipv4: true, udp: true, vlan: false },
        Offload::On => {
            TxOffloads { ipv4: !is_v6, udp: true, vlan: vlan_to_insert(config).is_some() }
        }
    }
}

impl From<TxMode> for bridge::TxMode {
    fn from(tx_mode: TxMode) -> Self {
        match tx_mode {
            TxMode::Burst => Self::Burst,
            TxMode::Spin => Self::Spin,
            TxMode::Hardware => Self::Hardware,
        }
    }
}
