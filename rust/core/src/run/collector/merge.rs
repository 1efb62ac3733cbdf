//! Makes the rows of closed intervals from what the workers counted in them.

use super::{Collector, in_time};
use crate::count::seqmap::{count_arrived, for_each_stretch};
use crate::count::{Counter, Counts, Departures, SeqMap};
use crate::run::{Row, Totals, WorkerCounts};

impl Collector {
    /// Emits the rows of all intervals below `end`, which no worker writes to any more.
    pub(super) fn emit(&mut self, end: u64, row: &mut dyn FnMut(&Row)) {
        while self.next < end {
            let before = self.keeps_queues.then(|| self.by_worker());
            let totals = self.merge(self.next);
            let queues = before.map(|before| self.counted_since(&before)).unwrap_or_default();
            self.totals += &totals;
            let latencies = &self.interval_latencies;
            let quantile = |quantile| totals.latency.quantile_ns(latencies, quantile).unwrap_or(0);
            let percentiles_ns = (!latencies.is_empty()).then(|| [0.5, 0.99, 0.999].map(quantile));
            let start_ns = self.next * self.board.interval_ns();
            let latencies = self.keeps_histograms.then(|| self.interval_latencies.clone());
            row(&Row { start_ns, totals, percentiles_ns, latencies, events: Vec::new(), queues });
            self.next += 1;
        }
        self.board.read_below(self.next);
        for (stream, seq) in (0..).zip(&self.next_seq) {
            self.board.release_below(stream, *seq);
        }
    }

    /// What each worker counted since its counts were `before`.
    fn counted_since(&self, before: &[WorkerCounts]) -> Vec<WorkerCounts> {
        let mut all = self.by_worker();
        for queue in &mut all {
            if let Some(before) = before.iter().find(|before| before.place == queue.place) {
                queue.counts -= &before.counts;
            }
            queue.polls = self.interval_polls[usize::from(queue.place)];
            queue.departures = Departures::default();
        }
        all
    }

    fn merge(&mut self, interval: u64) -> Totals {
        let mut totals = Totals::default();
        if !self.interval_latencies.is_empty() {
            self.interval_latencies.clear();
        }
        for (index, worker) in self.board.all().enumerate() {
            self.interval_polls[index] = worker.slots.polls(interval);
            self.polls[index] += &self.interval_polls[index];
            let Some((counts, latency)) = worker.slots.read(interval) else { continue };
            self.by_worker[index] += &counts;
            totals.counts += &counts;
            totals.latency += &latency;
            self.interval_latencies.add_interval(&worker.slots, interval);
        }
        if !self.interval_latencies.is_empty() {
            self.latencies.merge(&self.interval_latencies);
        }
        if self.next_seq.is_empty() {
            return totals;
        }
        let mut arrived = 0;
        let sent: Vec<_> = self.sent(interval).collect();
        let done_ns = self.sending_done_ns().unwrap_or(u64::MAX);
        for (stream, sent) in &sent {
            let (stream, sent) = (*stream, *sent);
            let first = self.next_seq[stream];
            let interval_ns = self.board.interval_ns();
            let start_ns = interval * interval_ns;
            // The packets of the interval in which sending ended were sent before that end.
            let sending_ns = done_ns.saturating_sub(start_ns).clamp(1, interval_ns);
            let mut runs = self.loss_runs.pass(stream, start_ns, sending_ns, sent);
            let board = &self.board;
            let in_time = |block| in_time(board, stream, block);
            let mut lost = 0;
            for_each_stretch(in_time, first..first + sent, |here, packets| {
                lost += if here { 0 } else { packets };
                runs.next(here, packets);
            });
            self.lost[stream] += lost;
            arrived += sent - lost;
            totals.lost += sent;
        }
        // A packet that arrives on two rx queues is valid on both, or late on one and valid on the
        // other. Only here are both seen together.
        let again = totals.counts[Counter::Valid].saturating_sub(arrived);
        if again > 0 {
            let fewer = self.take_back_duplicates(interval, &sent);
            for counter in Counter::OF_VALID {
                totals.counts[*counter] -= fewer[*counter];
            }
        }
        for (stream, sent) in sent {
            self.next_seq[stream] += sent;
        }
        self.mismatch += arrived.saturating_sub(totals.counts[Counter::Valid]);
        totals.counts[Counter::Valid] -= again;
        totals.counts[Counter::Duplicate] += again;
        self.mismatch += arrived.saturating_sub(totals.lost);
        totals.lost = totals.lost.saturating_sub(arrived);
        totals
    }

    /// Turns repeated valid counts into duplicates. A packet that is valid on several rx queues
    /// stays valid on the first of them; a packet that was late on another queue stays valid on
    /// none. Returns by how much the counters in [`Counter::OF_VALID`] decrease.
    fn take_back_duplicates(&mut self, interval: u64, sent: &[(usize, u64)]) -> Counts {
        let mut fewer = Counts::default();
        let mut maps: Vec<Vec<&SeqMap>> = vec![Vec::new(); sent.len()];
        let mut before = vec![0; sent.len()];
        for (worker, sum) in self.board.all().zip(&mut self.by_worker) {
            let Some((counts, _)) = worker.slots.read(interval) else { continue };
            let mut again = 0;
            for (index, (stream, sent)) in sent.iter().enumerate() {
                let Some(map) = worker.arrived.get(*stream) else { continue };
                let seqs = self.next_seq[*stream]..self.next_seq[*stream] + sent;
                let late = self.board.late(*stream);
                maps[index].push(map);
                let any = |block| maps[index].iter().fold(0, |bits, map| bits | map.bits(block));
                let here = count_arrived(|block| map.bits(block), seqs.clone());
                let all = count_arrived(|block| any(block) & !late.bits(block), seqs);
                again += here - (all - before[index]);
                before[index] = all;
            }
            let valid = counts[Counter::Valid].saturating_sub(again);
            sum[Counter::Valid] -= counts[Counter::Valid] - valid;
            sum[Counter::Duplicate] += again;
            // It is unknown which of the copies had no checksum, or another DSCP; usually all or none
            // of them.
            for counter in Counter::OF_VALID {
                let less = counts[*counter].saturating_sub(valid);
                sum[*counter] -= less;
                fewer[*counter] += less;
            }
        }
        fewer
    }
}
