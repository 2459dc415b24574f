//! This process as the kernel sees it, in Prometheus' own names for it. Linux; elsewhere the lines are left out.

use std::fmt::Write;

/// `/proc` counts processor time in hundredths of a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Metric lines read from `/proc/self`, and the start time given.
pub(crate) fn lines(started_at_seconds: f64) -> String {
    let mut text = String::with_capacity(512);
    let mut line = |name: &str, kind: &str, value: f64| {
        writeln!(text, "# TYPE {name} {kind}\n{name} {value}").ok();
    };
    line("process_start_time_seconds", "gauge", started_at_seconds);
    if let Some(bytes) = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status)) {
        line("process_resident_memory_bytes", "gauge", bytes);
    }
    if let Some(seconds) = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)) {
        line("process_cpu_seconds_total", "counter", seconds);
    }
    text
}

fn resident_bytes(status: &str) -> Option<f64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<f64>().ok()? * 1024.0)
}

/// User and system time: fields 14 and 15, counted behind the process's name, which may hold spaces and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tx\nVmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn processor_time_is_found_behind_any_process_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 1000 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a"), None);
    }
}
