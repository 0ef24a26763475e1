//! Errors of model APIs: what they say, and when to try again.

use std::time::Duration;

use serde_json::Value;

const EXCERPT: usize = 500;

/// An error answer of a model API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct ApiError {
    /// The HTTP status; none when it came within a stream.
    pub status: Option<u16>,
    /// The machine-readable code or type, if it gave one.
    pub code: Option<String>,
    /// What it said, at most 500 bytes.
    pub message: String,
    /// How long it asked to wait.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// Reads an error answer. `body` may be anything, also HTML or nothing.
    pub fn from_response(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let mut error = parsed
            .as_ref()
            .and_then(Self::from_json)
            .unwrap_or_else(|| Self {
                status: None,
                code: None,
                message: excerpt(String::from_utf8_lossy(body).trim()),
                retry_after: None,
            });
        error.status = Some(status);
        error.retry_after = retry_after.or(error.retry_after);
        error
    }

    /// Reads the error objects in use: `{"error": {"message", "code", "type"}}`,
    /// `{"error": "…"}`, `{"message": "…"}`, `{"detail": "…"}`, or a list of
    /// one of these. None when it is none of them.
    pub fn from_json(body: &Value) -> Option<Self> {
        let body = match body {
            Value::Array(items) => items.first()?,
            other => other,
        };
        let text = |value: &Value, key: &str| {
            let value = value.get(key)?;
            let number = || value.as_i64().map(|number| number.to_string());
            value.as_str().map(str::to_owned).or_else(number)
        };
        let inner = body.get("error").filter(|error| !error.is_null());
        let source = match inner {
            Some(inner @ Value::Object(_)) => inner,
            Some(Value::String(message)) => {
                return Some(Self {
                    status: None,
                    code: text(body, "code"),
                    message: excerpt(message),
                    retry_after: None,
                });
            }
            Some(_) | None => body,
        };
        let message = text(source, "message").or_else(|| text(source, "detail"))?;
        let wait = source
            .get("retry_after")
            .or_else(|| body.get("retry_after"));
        Some(Self {
            status: None,
            code: text(source, "code").or_else(|| text(source, "type")),
            message: excerpt(&message),
            retry_after: wait.and_then(Value::as_f64).and_then(seconds),
        })
    }

    /// Whether the same request may succeed later. An exhausted quota is also
    /// a 429, and does not come back by waiting.
    pub fn is_transient(&self) -> bool {
        if self.code.as_deref() == Some("insufficient_quota") {
            return false;
        }
        match self.status {
            Some(status) => matches!(status, 408 | 409 | 425 | 429 | 500..=599),
            None => true,
        }
    }

    fn describe(&self) -> String {
        let status = self.status.map(|status| format!("status {status}"));
        let parts = [status, self.code.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let parts = parts.join(", ");
        match (self.message.as_str(), parts.as_str()) {
            ("", "") => "the model API reported an error".to_owned(),
            ("", parts) => format!("the model API answered with {parts}"),
            (message, "") => message.to_owned(),
            (message, parts) => format!("{message} ({parts})"),
        }
    }
}

fn excerpt(text: &str) -> String {
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

/// How long an answer's headers ask to wait: `retry-after-ms`, `retry-after`
/// (seconds or an HTTP date) or, failing those, the longest of the
/// `x-ratelimit-reset-*` durations (`1.5s`, `6m0s`, `20ms`).
///
/// `header` returns a header's value by its lower-case name; `now` is the Unix
/// time in seconds.
pub fn retry_after<'h>(header: impl Fn(&str) -> Option<&'h str>, now: u64) -> Option<Duration> {
    let millis = header("retry-after-ms")
        .and_then(|value| value.trim().parse::<f64>().ok())
        .and_then(|value| seconds(value / 1000.0));
    if millis.is_some() {
        return millis;
    }
    if let Some(value) = header("retry-after").map(str::trim) {
        let number = value.parse::<f64>().ok().and_then(seconds);
        let date = || http_date(value).map(|at| Duration::from_secs(at.saturating_sub(now)));
        if let Some(wait) = number.or_else(date) {
            return Some(wait);
        }
    }
    ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"]
        .iter()
        .filter_map(|name| compound_duration(header(name)?.trim()))
        .max()
}

/// `1h2m3.5s`, `20ms`.
fn compound_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (!text.is_empty()).then(|| seconds(total)).flatten()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` as Unix seconds.
fn http_date(text: &str) -> Option<u64> {
    let mut parts = text.split_ascii_whitespace().skip(1);
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = u64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| *year >= 1970)?;
    let mut clock = parts
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days from civil, with the year beginning in March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, code: Option<&str>, message: &str, transient: bool) {
        let error = ApiError::from_response(status, body.as_bytes(), None);
        let got = (
            error.code.as_deref(),
            error.message.as_str(),
            error.is_transient(),
        );
        assert_eq!(got, (code, message, transient), "{body}");
        assert!(!error.to_string().is_empty());
    }

    #[test]
    fn error_bodies() {
        check(
            429,
            r#"{"error":{"message":"slow","type":"rate_limit"}}"#,
            Some("rate_limit"),
            "slow",
            true,
        );
        check(
            429,
            r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
            Some("insufficient_quota"),
            "pay",
            false,
        );
        check(400, r#"{"error":"bad"}"#, None, "bad", false);
        check(
            500,
            r#"[{"error":{"message":"x","code":503}}]"#,
            Some("503"),
            "x",
            true,
        );
        check(
            422,
            r#"{"detail":"no such model"}"#,
            None,
            "no such model",
            false,
        );
        check(
            401,
            r#"{"error":{"code":"not_signed_in","message":"sign in","hint":"…"}}"#,
            Some("not_signed_in"),
            "sign in",
            false,
        );
        check(
            502,
            "<html>Bad gateway</html>",
            None,
            "<html>Bad gateway</html>",
            true,
        );
        check(503, "", None, "", true);
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let error = ApiError::from_response(500, "ü".repeat(1000).as_bytes(), None);
        assert_eq!(error.message.len(), 500);
    }

    fn wait(name: &str, value: &str) -> Option<f64> {
        retry_after(|n| (n == name).then_some(value), 784_111_770).map(|d| d.as_secs_f64())
    }

    #[test]
    fn waits() {
        assert_eq!(wait("retry-after", "2"), Some(2.0));
        assert_eq!(wait("retry-after", "0.5"), Some(0.5));
        assert_eq!(wait("retry-after-ms", "250"), Some(0.25));
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(7.0)
        );
        assert_eq!(
            wait("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"),
            Some(0.0),
            "past"
        );
        assert_eq!(wait("x-ratelimit-reset-requests", "6m0.5s"), Some(360.5));
        assert_eq!(wait("x-ratelimit-reset-tokens", "20ms"), Some(0.02));
        for nonsense in ["", "soon", "-1", "1x", "m", "NaN"] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
            assert_eq!(
                wait("x-ratelimit-reset-tokens", nonsense),
                None,
                "{nonsense}"
            );
        }
    }
}
