//! The wall clock. In the Workers runtime it stands still while code runs and moves only with I/O,
//! which suits machines that take the time as an argument.

use sam_domain::time::Timestamp;

/// Now, in whole milliseconds since 1970.
pub fn now() -> Timestamp {
    #[cfg(target_arch = "wasm32")]
    let millis = js_sys::Date::now();
    #[cfg(not(target_arch = "wasm32"))]
    let millis = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64() * 1000.0);
    Timestamp(millis as u64)
}
