//! Runs of consecutive losses (loss periods in RFC 3357): a blackout is one long run, not many
//! losses.

/// One run of consecutive lost packets of one tx queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossRun {
    /// Send time of the first lost packet, in ns since the start of the run.
    pub start_ns: f64,
    /// Time from the sending of the first lost packet to the sending of the next packet that
    /// arrived, in ns. Send times within an interval are interpolated from the packet's position in
    /// it.
    pub length_ns: f64,
    /// Number of lost packets.
    pub packets: u64,
}

/// The runs of all tx queues. They are counted per queue, as there is no packet order across
/// queues.
#[derive(Clone, Debug, Default)]
pub struct LossRuns {
    /// Number of runs.
    pub count: u64,
    /// The run with the most packets.
    pub most_packets: LossRun,
    /// The run that took longest.
    pub longest: LossRun,
    /// Per stream: the run that has not ended yet.
    open: Vec<LossRun>,
}

/// Iteration over the packets of one interval of one stream.
pub(crate) struct Pass<'a> {
    runs: &'a mut LossRuns,
    stream: usize,
    at_ns: f64,
    spacing_ns: f64,
}

impl LossRuns {
    pub(crate) fn new(streams: usize) -> Self {
        Self { open: vec![LossRun::default(); streams], ..Self::default() }
    }

    /// Starts an interval of `stream`, in which `sent` packets were sent. It begins at `start_ns`
    /// and is `interval_ns` long.
    pub(crate) fn pass(
        &mut self,
        stream: usize,
        start_ns: u64,
        interval_ns: u64,
        sent: u64,
    ) -> Pass<'_> {
        let spacing_ns = interval_ns as f64 / sent.max(1) as f64;
        Pass { runs: self, stream, at_ns: start_ns as f64, spacing_ns }
    }

    /// Ends all open runs.
    pub(crate) fn finish(&mut self) {
        for stream in 0..self.open.len() {
            self.end(stream);
        }
    }

    fn end(&mut self, stream: usize) {
        let run = std::mem::take(&mut self.open[stream]);
        if run.packets == 0 {
            return;
        }
        // Fractions of a nanosecond would be lost in seconds of the JSON, from which the run is read
        // again.
        let run =
            LossRun { start_ns: run.start_ns.round(), length_ns: run.length_ns.round(), ..run };
        self.count += 1;
        if run.packets > self.most_packets.packets {
            self.most_packets = run;
        }
        if run.length_ns > self.longest.length_ns {
            self.longest = run;
        }
    }
}

impl Pass<'_> {
    /// The next `packets` packets have all arrived, or are all lost.
    pub(crate) fn next(&mut self, arrived: bool, packets: u64) {
        let length_ns = packets as f64 * self.spacing_ns;
        if arrived {
            self.runs.end(self.stream);
        } else {
            let open = &mut self.runs.open[self.stream];
            if open.packets == 0 {
                open.start_ns = self.at_ns;
            }
            open.packets += packets;
            open.length_ns = self.at_ns + length_ns - open.start_ns;
        }
        self.at_ns += length_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_over_intervals_and_each_stream_has_its_own() {
        let mut runs = LossRuns::new(2);
        let mut pass = runs.pass(0, 0, 1000, 10);
        for (arrived, packets) in [(true, 2), (false, 1), (true, 4), (false, 1), (false, 2)] {
            pass.next(arrived, packets);
        }
        runs.pass(1, 0, 1000, 10).next(false, 10);
        runs.pass(1, 1000, 1000, 10).next(true, 10);
        // Sent twice as fast.
        let mut pass = runs.pass(0, 1000, 1000, 20);
        pass.next(false, 6);
        pass.next(true, 14);
        runs.pass(0, 2000, 1000, 1).next(false, 1);
        runs.finish();
        assert_eq!(runs.count, 4);
        assert_eq!(runs.most_packets, LossRun { start_ns: 0.0, length_ns: 1000.0, packets: 10 });
        assert_eq!(runs.longest, LossRun { start_ns: 0.0, length_ns: 1000.0, packets: 10 });
        let mut runs = LossRuns::new(1);
        let mut pass = runs.pass(0, 0, 1000, 10);
        pass.next(true, 7);
        pass.next(false, 3);
        let mut pass = runs.pass(0, 1000, 1000, 20);
        pass.next(false, 6);
        pass.next(true, 14);
        assert_eq!(runs.longest, LossRun { start_ns: 700.0, length_ns: 600.0, packets: 9 });
        assert_eq!(runs.count, 1);
    }

    #[test]
    fn nothing_lost_is_no_run() {
        let mut runs = LossRuns::new(1);
        runs.pass(0, 0, 1000, 10).next(true, 10);
        runs.finish();
        assert_eq!((runs.count, runs.longest.packets), (0, 0));
    }
}
