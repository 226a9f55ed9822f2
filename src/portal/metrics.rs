//! `GET /metrics`: the daemon's own figures, the apps' phases and the gateway's traffic in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::apps::is_known_which;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, said};
use super::room::{self, RoomView};
use super::state::PortalState;
use super::view::{PHASES, phase};
use crate::gateway::{LATENCY_BUCKETS_MS, TrafficSnapshot};
use crate::model::status::{BackupStatus, EngineStatus, ManifestsStatus};
use crate::model::{AppKey, AppStatus, ConditionKind, DaemonStatus, Timestamp};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prometheus asks for `OpenMetrics` by name; people and older tools get the classic text.
pub(super) async fn metrics(State(state): State<PortalState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut registry = Registry::with_prefix("minipaas");
    state.metrics.register(&mut registry);
    let traffic = state.traffic.as_ref().map(|traffic| traffic.snapshot()).unwrap_or_default();
    let room = room::look(&state).await;
    registry.register_collector(Box::new(Present { status: state.controller.status(), traffic, room }));
    let mut body = String::new();
    text::encode(&mut body, &registry).map_err(|error| {
        ApiError::new(
            code::INTERNAL,
            said!("the figures cannot be written: {error}", "수치를 쓸 수 없습니다: 데몬의 로그를 보세요"),
        )
    })?;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(if accepts.contains("application/openmetrics-text") {
        ([(CONTENT_TYPE, OPEN_METRICS)], body).into_response()
    } else {
        ([(CONTENT_TYPE, CLASSIC)], classic(&body)).into_response()
    })
}

pub(super) fn metrics_described() -> Operation {
    Operation::new("daemon", "metrics", "Figures for Prometheus")
        .more("Send the key as `Authorization: Bearer`, which is what Prometheus knows.")
        .answers_with(200, "text/plain", "The classic text.")
        .answers_with(200, "application/openmetrics-text", "For those who ask for it by `Accept`.")
}

/// The classic text names a counter in its comments as in its samples, with `_total`; units and the end mark are unknown
/// to it.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = |line: &str| line.strip_prefix("# TYPE ")?.strip_suffix(" counter").map(str::to_owned);
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let of_counter = counter(line)
            .or_else(|| lines.peek().filter(|_| line.starts_with("# HELP ")).and_then(|next| counter(next)));
        match of_counter {
            Some(name) => text.push_str(&line.replacen(&name, &format!("{name}_total"), 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// What is told as it is at the moment of asking, instead of being counted along the way.
#[derive(Debug)]
struct Present {
    status: Arc<DaemonStatus>,
    traffic: BTreeMap<AppKey, TrafficSnapshot>,
    room: RoomView,
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let status = &self.status;
        gauge(&mut encoder, "engine_up", "Whether Docker answers", |metric| {
            metric.encode_gauge(&i64::from(matches!(status.engine, EngineStatus::Connected { .. })))
        })?;
        gauge(&mut encoder, "apps", "Apps by their phase", |metric| {
            // Until it is known which there are, no figure is right.
            if !is_known_which(status) {
                return Ok(());
            }
            let mut counts: BTreeMap<&str, i64> = PHASES.iter().map(|phase| (*phase, 0)).collect();
            for app in status.apps.values() {
                *counts.entry(phase(app)).or_default() += 1;
            }
            counts.iter().try_for_each(|(phase, count)| metric.encode_family(&[("phase", *phase)])?.encode_gauge(count))
        })?;
        gauge(&mut encoder, "app_ready", "Whether an app runs as its manifest says", |metric| {
            each(&status.apps, |app, status| {
                metric.encode_family(&[("app", app)])?.encode_gauge(&i64::from(status.is_ready()))
            })
        })?;
        gauge(&mut encoder, "app_restarts", "How often Docker started an app again by itself", |metric| {
            each(&status.apps, |app, status| {
                metric.encode_family(&[("app", app)])?.encode_gauge(&i64::from(status.restarts))
            })
        })?;
        gauge(&mut encoder, "app_domain", "Own host names that lead to an app: always 1", |metric| {
            each(&status.apps, |app, status| {
                status.domains.iter().try_for_each(|name| {
                    metric.encode_family(&[("app", app), ("domain", name.as_str())])?.encode_gauge(&1_i64)
                })
            })
        })?;
        let RoomView { awake, fits, waiting, .. } = self.room;
        for (name, help, figure) in [
            ("sites_awake", "Apps that run now", Some(awake)),
            ("sites_that_fit", "About how many apps could run at once, were all as large as those that run", fits),
            ("sites_waiting_for_memory", "Apps that are not started for want of memory", Some(waiting)),
        ] {
            let Some(figure) = figure else { continue };
            gauge(&mut encoder, name, help, |metric| metric.encode_gauge(&i64::from(figure)))?;
        }
        self.encode_backups(&mut encoder)?;
        gauge(&mut encoder, "settings_problems", "Refused lines of .env", |metric| {
            metric.encode_gauge(&i64::try_from(status.settings_problems.len()).unwrap_or(i64::MAX))
        })?;
        gauge(
            &mut encoder,
            "manifests_available",
            "Whether the manifests folder can be read and is marked",
            |metric| metric.encode_gauge(&i64::from(matches!(status.manifests, ManifestsStatus::Complete))),
        )?;
        gauge(&mut encoder, "manifests_refused", "Files of the manifests folder that cannot be used", |metric| {
            let invalid =
                |app: &&Arc<AppStatus>| app.condition(ConditionKind::Invalid).is_some_and(|condition| condition.status);
            let count = status.file_problems.len() + status.apps.values().filter(invalid).count();
            metric.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))
        })?;
        gauge(&mut encoder, "held_removals", "Apps of a mass deletion that waits for a person", |metric| {
            let count = status.held.as_ref().map_or(0, |held| held.apps.len());
            metric.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX))
        })?;
        if let Some(at) = status.last_resync {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits for ages")]
            let seconds = at.0 as f64 / 1000.0;
            let help = "When everything was last looked at";
            let metric =
                encoder.encode_descriptor("last_resync_timestamp", help, Some(&Unit::Seconds), MetricType::Gauge);
            metric?.encode_gauge(&seconds)?;
        }
        self.encode_traffic(encoder)
    }
}

impl Present {
    /// An app without a figure has no such backup.
    fn encode_backups(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            (
                "app_backup_timestamp_seconds",
                "When the newest backup was made",
                (|backups| backups.last) as fn(&BackupStatus) -> Option<Timestamp>,
            ),
            (
                "app_backup_proven_timestamp_seconds",
                "When the newest backup was made that was restored in a drill",
                |backups| backups.proven,
            ),
        ] {
            gauge(encoder, name, help, |metric| {
                each(&self.status.backups, |app, backups| {
                    let Some(at) = value(backups) else { return Ok(()) };
                    metric.encode_family(&[("app", app)])?.encode_gauge(&(at.0 / 1_000))
                })
            })?;
        }
        gauge(encoder, "app_backup_failed", "Whether the last backup or drill failed", |metric| {
            each(&self.status.backups, |app, backups| {
                metric.encode_family(&[("app", app)])?.encode_gauge(&i64::from(backups.problem.is_some()))
            })
        })
    }

    fn encode_traffic(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            (
                "app_responses",
                "Responses of the app by status class",
                (|traffic| traffic.classes) as fn(&TrafficSnapshot) -> [u64; 5],
            ),
            ("app_refusals", "Responses of the gateway in the app's place by status class", |traffic| traffic.refused),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            each(&self.traffic, |app, traffic| {
                ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(value(traffic)).try_for_each(|(class, count)| {
                    counter(metric.encode_family(&[("app", app), ("class", class)])?, count)
                })
            })?;
        }
        for (name, help, value) in [
            ("app_received", "Bytes of request bodies", (|traffic| traffic.bytes_in) as fn(&TrafficSnapshot) -> u64),
            ("app_sent", "Bytes of response bodies", |traffic| traffic.bytes_out),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Counter)?;
            each(&self.traffic, |app, traffic| counter(metric.encode_family(&[("app", app)])?, value(traffic)))?;
        }
        for (name, help, value) in [
            (
                "app_retries",
                "Requests sent again on a fresh connection",
                (|traffic| traffic.retries) as fn(&TrafficSnapshot) -> u64,
            ),
            ("app_upgrades", "Connections that became WebSockets", |traffic| traffic.upgrades),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            each(&self.traffic, |app, traffic| counter(metric.encode_family(&[("app", app)])?, value(traffic)))?;
        }
        gauge(&mut encoder, "app_requests_in_flight", "Requests whose response has not begun", |metric| {
            each(&self.traffic, |app, traffic| {
                let count = i64::try_from(traffic.in_flight).unwrap_or(i64::MAX);
                metric.encode_family(&[("app", app)])?.encode_gauge(&count)
            })
        })?;
        let help = "From a request's head to that of the app's response";
        let mut metric =
            encoder.encode_descriptor("app_response_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        each(&self.traffic, |app, traffic| {
            #[expect(clippy::cast_precision_loss, reason = "bounds of milliseconds are small")]
            let bounds = LATENCY_BUCKETS_MS.iter().map(|bound| *bound as f64 / 1000.0).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(traffic.latency).collect();
            let count = traffic.latency.iter().sum();
            let sum = traffic.latency_sum.as_secs_f64();
            metric.encode_family(&[("app", app)])?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    write: impl FnOnce(&mut MetricEncoder) -> Result<(), std::fmt::Error>,
) -> Result<(), std::fmt::Error> {
    write(&mut encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(mut metric: MetricEncoder, value: u64) -> Result<(), std::fmt::Error> {
    metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

/// Per app, under its name.
fn each<T>(
    apps: &BTreeMap<AppKey, T>,
    mut write: impl FnMut(&str, &T) -> Result<(), std::fmt::Error>,
) -> Result<(), std::fmt::Error> {
    apps.iter().try_for_each(|(key, value)| write(&key.to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_text_names_counters_as_their_samples() {
        let open = "# HELP a_steps Steps.\n# TYPE a_steps counter\na_steps_total{x=\"1\"} 2\n# HELP b Bytes.\n# TYPE b gauge\n\
                    # UNIT b bytes\nb 1\n# EOF\n";
        insta::assert_snapshot!(classic(open), @r#"
        # HELP a_steps_total Steps.
        # TYPE a_steps_total counter
        a_steps_total{x="1"} 2
        # HELP b Bytes.
        # TYPE b gauge
        b 1
        "#);
    }
}
