//! One connection to an engine.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{self as connect, Connected};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::address::Address;
use super::endpoint::Endpoint;
use super::error::{refused, silent};
use super::ssh;
use super::tls::Tls;
use crate::domain::{Error, Result};

/// A machine that is gone is noticed after about a minute.
const KEEPALIVE: KeepAlive = KeepAlive { idle: 20, interval: 10, probes: 4 };

struct KeepAlive {
    /// Seconds without traffic before the first probe.
    idle: u32,
    /// Seconds between probes.
    interval: u32,
    /// Probes without an answer.
    probes: u32,
}

/// What bytes go through.
trait Channel: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Channel for T {}

/// A connection, whatever carries it.
pub(super) struct Connection(Box<dyn Channel>);

impl Connection {
    /// Connects, within `patience`.
    ///
    /// # Errors
    /// An environment error that names the engine and what mends it.
    pub(super) async fn open(endpoint: &Endpoint, tls: Option<&Tls>, patience: Duration) -> Result<Connection> {
        let opened = async {
            match &endpoint.address {
                Address::Unix(path) => unix(endpoint, path).await,
                Address::Tcp(host) => Ok(Connection(Box::new(tcp(endpoint, host).await?))),
                Address::Tls { host, .. } => {
                    let stream = tcp(endpoint, host).await?;
                    let tls = tls.ok_or_else(|| Error::bug("an address with TLS, and no TLS"))?;
                    Ok(Connection(Box::new(tls.shake_hands(endpoint, stream).await?)))
                }
                Address::Ssh { destination, port } => {
                    Ok(Connection(Box::new(ssh::open(endpoint, destination, *port, patience)?)))
                }
            }
        };
        tokio::time::timeout(patience, opened).await.unwrap_or_else(|_| Err(silent(endpoint, patience)))
    }
}

async fn unix(endpoint: &Endpoint, path: &Path) -> Result<Connection> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Connection(Box::new(stream))),
        Err(error) => Err(refused(endpoint, &error)),
    }
}

async fn tcp(endpoint: &Endpoint, host: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(host).await.map_err(|error| refused(endpoint, &error))?;
    // None of these is worth an error.
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(&stream, sockopt::TcpKeepIdle, &KEEPALIVE.idle);
    let _ = setsockopt(&stream, sockopt::TcpKeepInterval, &KEEPALIVE.interval);
    let _ = setsockopt(&stream, sockopt::TcpKeepCount, &KEEPALIVE.probes);
    Ok(stream)
}

impl Connection {
    /// The same in the terms of the library that speaks HTTP.
    pub(super) fn into_io(self) -> TokioIo<Connection> {
        TokioIo::new(self)
    }
}

impl connect::Connection for Connection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
