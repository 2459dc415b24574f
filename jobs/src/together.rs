//! Work that arrives at the same time is done in one go; while it is, the next lot gathers. What comes alone is done at once.

use std::{fmt, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// A lot of so many says that there is load.
const MANY: usize = 8;

/// A task that does it. It ends with the last asker.
pub struct Together<Q, A>(mpsc::Sender<(Q, oneshot::Sender<A>)>);

impl<Q, A> fmt::Debug for Together<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// `work` answers up to `most` at a time, in their order; or none of them, when it did not succeed. After a large lot the next one gathers for
    /// `gather`: under load larger lots cost much less.
    pub fn start<W, F>(most: usize, gather: Duration, mut work: W) -> Self
    where
        W: FnMut(Vec<Q>) -> F + Send + 'static,
        F: Future<Output = Vec<A>> + Send,
    {
        let (sender, mut receiver) = mpsc::channel::<(Q, oneshot::Sender<A>)>(most);
        tokio::spawn(async move {
            let mut lot = Vec::with_capacity(most);
            while receiver.recv_many(&mut lot, most).await > 0 {
                let many = lot.len() >= MANY;
                let (questions, askers): (Vec<Q>, Vec<_>) = lot.drain(..).unzip();
                for (asker, answer) in askers.into_iter().zip(work(questions).await) {
                    // Nobody waits any more when the run was given up meanwhile.
                    drop(asker.send(answer));
                }
                if many && !gather.is_zero() {
                    tokio::time::sleep(gather).await;
                }
            }
        });
        Self(sender)
    }

    /// `None`: there was no answer. What was asked for may have been done all the same.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (asker, answer) = oneshot::channel();
        self.0.send((question, asker)).await.ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[tokio::test]
    async fn what_comes_while_one_is_worked_on_is_done_in_one_go() {
        let lots = Arc::new(AtomicUsize::new(0));
        let counted = lots.clone();
        let doubles = Together::start(8, Duration::from_millis(5), move |numbers: Vec<usize>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                numbers.into_iter().map(|number| number * 2).collect()
            }
        });
        let answers = join_all((0..24).map(|number| doubles.ask(number))).await;
        assert_eq!(answers, (0..24).map(|number| Some(number * 2)).collect::<Vec<_>>());
        assert!((3..24).contains(&lots.load(Ordering::SeqCst)), "{lots:?}");
    }

    #[tokio::test]
    async fn a_lot_that_goes_wrong_answers_nobody_and_the_next_one_is_done() {
        let odd_fail = Together::start(1, Duration::ZERO, |numbers: Vec<usize>| async move {
            if numbers.iter().any(|number| number % 2 == 1) { Vec::new() } else { numbers }
        });
        assert_eq!((odd_fail.ask(1).await, odd_fail.ask(2).await), (None, Some(2)));
    }
}
