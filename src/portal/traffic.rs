//! What an app's visitors did, as the gateway counted it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gateway::{LATENCY_BUCKETS_MS, TrafficSnapshot};

/// One app's figures since the daemon started; the same as in `GET /metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    pub requests: u64,
    /// Requests whose response has not begun.
    pub in_flight: u64,
    /// Bytes of request bodies.
    pub received_bytes: u64,
    /// Bytes of response bodies.
    pub sent_bytes: u64,
    /// The app's own.
    pub responses: Responses,
    /// The gateway's in its place: the app could not be reached, or the request was not passed on.
    pub refusals: Responses,
    /// Connections that became a WebSocket.
    pub web_sockets: u64,
    /// From a request's head to the head of the app's response: how many took so long.
    pub latency: Vec<Bucket>,
}

/// By status class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Responses {
    #[serde(rename = "1xx")]
    pub informational: u64,
    #[serde(rename = "2xx")]
    pub success: u64,
    #[serde(rename = "3xx")]
    pub redirection: u64,
    #[serde(rename = "4xx")]
    pub client_error: u64,
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

/// Responses above the bound of the bucket before, up to this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Milliseconds; null for what took longer than every bound.
    pub up_to_ms: Option<u64>,
    pub count: u64,
}

impl From<&TrafficSnapshot> for Traffic {
    fn from(counted: &TrafficSnapshot) -> Self {
        let bounds = LATENCY_BUCKETS_MS.into_iter().map(Some).chain([None]);
        Self {
            requests: counted.requests,
            in_flight: counted.in_flight,
            received_bytes: counted.bytes_in,
            sent_bytes: counted.bytes_out,
            responses: counted.classes.into(),
            refusals: counted.refused.into(),
            web_sockets: counted.upgrades,
            latency: bounds.zip(counted.latency).map(|(up_to_ms, count)| Bucket { up_to_ms, count }).collect(),
        }
    }
}

impl From<[u64; 5]> for Responses {
    fn from([informational, success, redirection, client_error, server_error]: [u64; 5]) -> Self {
        Self { informational, success, redirection, client_error, server_error }
    }
}

impl Responses {
    #[must_use]
    pub fn all(&self) -> u64 {
        self.informational + self.success + self.redirection + self.client_error + self.server_error
    }
}

impl Traffic {
    /// The bound within which this share of the responses (of one thousand) came; `None` without responses, or when it is
    /// beyond every bound.
    #[must_use]
    pub fn within_ms(&self, per_mille: u64) -> Option<u64> {
        let all: u64 = self.latency.iter().map(|bucket| bucket.count).sum();
        let wanted = (all * per_mille).div_ceil(1000);
        let mut seen = 0;
        let reached = self.latency.iter().find(|bucket| {
            seen += bucket.count;
            seen >= wanted
        });
        reached.filter(|_| all > 0)?.up_to_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_responses_came_within_a_bound() {
        let of = |counts: &[(usize, u64)]| {
            let mut counted = TrafficSnapshot::default();
            for (bucket, count) in counts {
                counted.latency[*bucket] = *count;
            }
            let traffic = Traffic::from(&counted);
            [500, 990].map(|share| traffic.within_ms(share))
        };
        let beyond = LATENCY_BUCKETS_MS.len();
        for (counts, want) in [
            (&[][..], [None, None]),
            (&[(2, 1)], [Some(5), Some(5)]),
            (&[(0, 99), (5, 1)], [Some(1), Some(1)]),
            (&[(0, 98), (5, 2)], [Some(1), Some(50)]),
            (&[(0, 1), (beyond, 1)], [Some(1), None]),
        ] {
            assert_eq!(of(counts), want, "{counts:?}");
        }
    }
}
