//! How many threads are worth starting.
use std::sync::OnceLock;

/// Threads that run side by side here. It is asked for once: the answer takes a dozen files of control groups.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
