//! Takes from the inbox what one commit may hold.

use super::inbox::{Held, Refusal};
use std::collections::VecDeque;
use tokio::sync::{mpsc, watch};

/// Above this, a larger commit no longer costs less per event (measured), but everything in it waits for all of it.
const MAX_EVENTS: usize = 1_000;
/// A statement with its parameters is built in memory, here and in Postgres.
const MAX_BYTES: usize = 16 * 1024 * 1024;

pub(super) struct Batches {
    receiver: mpsc::UnboundedReceiver<Held>,
    stopping: watch::Receiver<bool>,
    /// Taken from the queue, but too much for the last batch.
    waiting: VecDeque<Held>,
    taken: Vec<Held>,
}

impl Batches {
    pub(super) fn new(receiver: mpsc::UnboundedReceiver<Held>, stopping: watch::Receiver<bool>) -> Self {
        Self { receiver, stopping, waiting: VecDeque::new(), taken: Vec::new() }
    }

    /// What waits, in the order of arrival; waits itself only while nothing does. `None`: stopped, and everything is taken.
    pub(super) async fn next(&mut self) -> Option<Vec<Held>> {
        if self.waiting.is_empty() {
            self.wait().await;
        } else {
            self.gather();
        }
        let mut bytes = 0;
        let fits = self.waiting.iter().take(MAX_EVENTS).take_while(|held| {
            bytes += held.event.body.len();
            bytes <= MAX_BYTES
        });
        // One that is too large by itself still makes a batch.
        let count = fits.count().max(1).min(self.waiting.len());
        Some(self.waiting.drain(..count).collect()).filter(|batch: &Vec<Held>| !batch.is_empty())
    }

    /// Answers everything that waits, without waiting for more.
    pub(super) fn refuse_waiting(&mut self, refusal: Refusal) {
        while let Some(held) = self.waiting.pop_front().or_else(|| self.receiver.try_recv().ok()) {
            held.waiter.answer(Err(refusal));
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn wait(&mut self) {
        let open = tokio::select! {
            biased;
            count = self.receiver.recv_many(&mut self.taken, MAX_EVENTS) => count > 0,
            () = stopped(&mut self.stopping) => false,
        };
        if !open {
            self.receiver.close();
            self.receiver.recv_many(&mut self.taken, MAX_EVENTS).await;
        }
        self.waiting.extend(self.taken.drain(..));
    }

    fn gather(&mut self) {
        while self.waiting.len() < MAX_EVENTS
            && let Ok(held) = self.receiver.try_recv()
        {
            self.waiting.push_back(held);
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the inbox itself is gone, which is the same.
    stopping.wait_for(|stop| *stop).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::inbox::{Gate, Limits, tests::held};
    use std::sync::Arc;

    const MIB: usize = 1024 * 1024;

    struct Setup {
        gate: Arc<Gate>,
        sender: mpsc::UnboundedSender<Held>,
        stop: watch::Sender<bool>,
        batches: Batches,
    }

    fn setup() -> Setup {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let gate = Gate::new(Limits { events: 10_000, bytes: 1 << 40 });
        Setup { gate, sender, stop, batches: Batches::new(receiver, stopping) }
    }

    impl Setup {
        fn send(&self, count: usize, bytes: usize) {
            for _ in 0..count {
                self.sender.send(held(&self.gate, bytes).0).unwrap();
            }
        }

        async fn sizes(&mut self) -> Vec<usize> {
            self.stop.send_replace(true);
            let mut sizes = Vec::new();
            while let Some(batch) = self.batches.next().await {
                sizes.push(batch.len());
            }
            sizes
        }
    }

    #[tokio::test]
    async fn a_batch_takes_what_waits_up_to_a_thousand() {
        let mut setup = setup();
        setup.send(2_300, 1);
        assert_eq!(setup.sizes().await, [1_000, 1_000, 300]);
        assert_eq!(setup.gate.held(), (0, 0));
    }

    #[tokio::test]
    async fn a_batch_of_large_bodies_ends_at_sixteen_mebibytes_and_one_that_is_larger_goes_alone() {
        let mut setup = setup();
        setup.send(6, 3 * MIB);
        setup.send(1, 17 * MIB);
        setup.send(2, 1);
        assert_eq!(setup.sizes().await, [5, 1, 1, 2]);
    }

    #[tokio::test]
    async fn what_is_sent_after_the_stop_is_not_taken() {
        let mut setup = setup();
        assert!(setup.sizes().await.is_empty());
        assert!(setup.sender.send(held(&setup.gate, 1).0).is_err());
    }

    #[tokio::test]
    async fn refusing_answers_all_that_waits() {
        let mut setup = setup();
        let (first, mut answered) = held(&setup.gate, 1);
        setup.sender.send(first).unwrap();
        setup.send(3, 1);
        setup.batches.refuse_waiting(Refusal::Database);
        assert_eq!(answered.try_recv().unwrap(), Err(Refusal::Database));
        assert_eq!(setup.gate.held(), (0, 0));
    }
}
