//! TLS with an engine: who it is, and who we are.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::Address;
use super::endpoint::Endpoint;
use super::error::tls_refused;
use crate::domain::{Error, Result, ResultExt};

/// What is needed to speak TLS with one engine.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// TLS for an address; `None` for one that has none.
    ///
    /// # Errors
    /// An environment error that names the file that is at fault.
    pub(super) fn new(address: &Address) -> Result<Option<Tls>> {
        let Address::Tls { host, ca, cert, key, verify, server_name } = address else { return Ok(None) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .or_bug(|| "TLS cannot be set up".into())?;
        let builder = if *verify {
            builder.with_root_certificates(roots(ca.as_deref())?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let config = match (cert, key) {
            (Some(cert), Some(key)) => {
                let failed = || format!("cannot use {} with {}", cert.display(), key.display());
                let key =
                    PrivateKeyDer::from_pem_file(key).or_environment(|| format!("cannot read {}", key.display()))?;
                builder.with_client_auth_cert(certificates(cert)?, key).or_environment(failed)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(present), None) | (None, Some(present)) => {
                return Err(Error::environment(format!("{} stands alone", present.display()))
                    .hint("a certificate takes its key: cert.pem and key.pem belong together"));
            }
        };
        let host = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        let host = server_name.as_deref().unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).or_usage(|| format!("'{host}' is no name of a host"))?;
        Ok(Some(Tls { connector: TlsConnector::from(Arc::new(config)), name }))
    }

    /// Makes a stream secure.
    ///
    /// # Errors
    /// An environment error when either side does not trust the other.
    pub(super) async fn shake_hands(&self, endpoint: &Endpoint, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await.map_err(|error| tls_refused(endpoint, &error))
    }
}

/// Who may vouch for an engine.
fn roots(ca: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).or_environment(|| format!("cannot use {}", file.display()))?;
            }
        }
        None => {
            // Those of the machine, in the one place that has them on every distribution with a link to it.
            let bundles =
                ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
            if let Some(bundle) = bundles.iter().map(Path::new).find(|path| path.is_file()) {
                let _ = roots.add_parsable_certificates(certificates(bundle)?);
            }
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = || format!("cannot read {}", file.display());
    let parsed = CertificateDer::pem_file_iter(file).or_environment(failed)?;
    let certificates = parsed.collect::<Result<Vec<_>, _>>().or_environment(failed)?;
    match certificates.is_empty() {
        true => Err(Error::environment(failed()).because("it has no certificate")),
        false => Ok(certificates),
    }
}

/// Trusts everybody, as the user asked with `--skip-tls-verify` or without `DOCKER_TLS_VERIFY`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
