//! What is counted, for Prometheus.

use std::sync::Mutex;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::fault::Fault;

/// Upper bounds of the classes of a request's time, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

/// The portal's counters.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    seconds: Histogram,
    doors: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("latchkey");
        let requests = Family::default();
        registry.register("requests", "HTTP requests answered", requests.clone());
        let seconds = Histogram::new(SECONDS);
        registry.register("request_seconds", "Time until the answer", seconds.clone());
        let doors = Gauge::default();
        registry.register(
            "doors_connected",
            "Doors with a line to this process",
            doors.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            requests,
            seconds,
            doors,
        }
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = Request {
            // Anybody can send any method.
            method: match method.as_str() {
                known @ ("GET" | "POST" | "PUT" | "DELETE") => known.to_owned(),
                _ => "other".to_owned(),
            },
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn doors(&self, connected: usize) {
        self.doors.set(i64::try_from(connected).unwrap_or(i64::MAX));
    }

    pub(crate) fn text(&self) -> Result<String, Fault> {
        let mut text = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).map_err(|error| Fault::Internal(error.to_string()))?;
        Ok(text)
    }
}
