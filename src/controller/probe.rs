//! Asks an app over its own port whether it serves. The daemon asks from the host instead of letting Docker run a health
//! check inside: a Node process per check would cost a small machine more than the app does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::model::ObservedContainer;
use crate::model::status::Endpoint;

use super::listening::listening;
use super::seams::Prober;

const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);

/// The real prober: one short HTTP/1.1 request.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpProber;

impl Prober for HttpProber {
    async fn probe(&self, endpoint: &Endpoint, path: Option<&str>) -> Result<(), String> {
        let address = (endpoint.ip, endpoint.port);
        let connect = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        let stream = match connect {
            Err(_) => return Err(format!("no connection within {CONNECT:?}")),
            Ok(Err(error)) => return Err(format!("nothing listens on port {} ({error})", endpoint.port)),
            Ok(Ok(stream)) => stream,
        };
        match path {
            None => Ok(()),
            Some(path) => match tokio::time::timeout(ANSWER, ask(stream, path)).await {
                Err(_) => Err(format!("{path} gave no answer within {ANSWER:?}")),
                Ok(answer) => answer,
            },
        }
    }

    async fn listening(&self, container: &ObservedContainer) -> Option<Vec<SocketAddr>> {
        let pid = container.pid?;
        tokio::task::spawn_blocking(move || listening(pid)).await.ok()?
    }
}

async fn ask(mut stream: TcpStream, path: &str) -> Result<(), String> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: minipaas\r\nConnection: close\r\n\r\n");
    let broken = |error: std::io::Error| format!("{path} broke off ({error})");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).await.map_err(broken)?;
    match head.strip_prefix(b"HTTP/1.").map(|rest| &rest[2..5]) {
        Some([b'2' | b'3', _, _]) => Ok(()),
        Some(status) => Err(format!("{path} answered {}", String::from_utf8_lossy(status))),
        None => Err(format!("{path} did not answer in HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContainerId;
    use tokio::net::TcpListener;

    /// A server that answers every connection with these bytes.
    async fn probe_against(answer: &'static [u8], path: Option<&str>) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0_u8; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            }
        };
        let endpoint = Endpoint { container: ContainerId("x".into()), ip: [127, 0, 0, 1].into(), port };
        tokio::select! {
            () = server => unreachable!(),
            answer = HttpProber.probe(&endpoint, path) => answer,
        }
    }

    #[tokio::test]
    async fn two_and_three_hundreds_count_as_serving() {
        for status in ["200", "204", "302"] {
            let answer: &'static str = Box::leak(format!("HTTP/1.1 {status} X\r\n\r\n").into_boxed_str());
            assert_eq!(probe_against(answer.as_bytes(), Some("/healthz")).await, Ok(()));
        }
        assert_eq!(probe_against(b"", None).await, Ok(()), "without a path an open port is enough");
    }

    #[tokio::test]
    async fn anything_else_is_told_in_words() {
        let error = probe_against(b"HTTP/1.1 503 No\r\n\r\n", Some("/healthz")).await.unwrap_err();
        assert_eq!(error, "/healthz answered 503");
        assert!(probe_against(b"SSH-2.0-x-and-more\r\n", Some("/")).await.unwrap_err().contains("not answer in HTTP"));
        assert!(probe_against(b"HT", Some("/")).await.unwrap_err().contains("broke off"));
    }
}
