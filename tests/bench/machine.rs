//! What the figures were measured on, and processes as the kernel sees them.

use std::{fs, time::Duration};

use sqlx::PgConnection;

/// Prints machine and versions.
pub fn print() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("machine: {cores} cores{model}; load before: {}", load.trim());
    println!(
        "settings: nats-server sync_interval always, one replica; Postgres fsync and synchronous_commit on"
    );
}

/// Prints the settings of Postgres on which writing depends.
pub async fn print_postgres(connection: &mut PgConnection) {
    let settings: String = sqlx::query_scalar(
        "select string_agg(name || ' ' || current_setting(name), ', ' order by name) from pg_settings
         where name in ('shared_buffers', 'max_wal_size', 'checkpoint_timeout', 'wal_buffers', 'fsync',
                        'synchronous_commit', 'full_page_writes')",
    )
    .fetch_one(connection)
    .await
    .expect("settings can be read");
    println!("Postgres: {settings}");
}

/// CPU time a process has used.
pub fn cpu_time(pid: i32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows its closing bracket does not.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    // utime and stime are fields 14 and 15 of the line, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Resident memory of a process in KiB: now, and at its highest.
pub fn resident_kib(pid: i32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// CPU time of a process and all its children, living and reaped.
pub fn cpu_time_of_tree(pid: i32) -> Duration {
    let mut total = cpu_time(pid);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    total += Duration::from_millis((ticks(13) + ticks(14)) * 10);
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        total += cpu_time_of_tree(child);
    }
    total
}
