//! What `ops/up` does for processes: one that dies is started again at once, with the same environment.

use super::{App, Process};

impl App {
    /// `kill -9` of a worker; another one takes its place, without a wait for anything.
    pub(crate) fn kill_worker(&mut self, place: usize) {
        self.workers[place].kill();
        let successor = Process::start("switchboard-worker", &[], &self.environment);
        self.ended.push(std::mem::replace(&mut self.workers[place], successor));
    }

    /// The same with the api.
    pub(crate) fn kill_api(&mut self) {
        let mut api = self.api.take().unwrap();
        api.kill();
        self.ended.push(api);
        self.api = Some(Process::start("switchboard-api", &[], &self.environment));
    }

    /// SIGTERM to everything at once. Each must end well within ten seconds.
    pub(crate) fn terminate_all(&mut self) {
        let mut all: Vec<Process> = self.workers.drain(..).chain(self.api.take()).collect();
        let ends: Vec<_> = std::thread::scope(|scope| {
            let waits: Vec<_> = all.iter_mut().map(|process| scope.spawn(|| process.terminate())).collect();
            waits.into_iter().map(|wait| wait.join().unwrap()).collect()
        });
        self.ended.extend(all);
        for (status, took) in ends {
            assert!(status.success() && took.as_secs() < 10, "{status} after {took:?}");
        }
    }

    /// Fails if a process ended that nobody ended.
    pub(crate) fn assert_all_live(&mut self) {
        for process in self.workers.iter_mut().chain(&mut self.api) {
            assert!(!process.has_ended(), "a process ended by itself");
        }
    }

    /// The worker that leads, by what it logged last.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.workers.iter().position(|worker| {
            let log = worker.log();
            log.rfind("this process leads") > log.rfind("does not lead any more")
        })
    }

    /// The lines with `word` in the logs of all processes, also of those that ended.
    pub(crate) fn log_lines(&self, word: &str) -> Vec<String> {
        let logs = self.workers.iter().chain(&self.api).chain(&self.ended).map(Process::log);
        logs.flat_map(|log| log.lines().filter(|line| line.contains(word)).map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}
