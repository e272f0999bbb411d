//! Rules about the system, and the stories and benchmarks that show it: see `repo/`, `system/`, `faults/` and `bench/`.
