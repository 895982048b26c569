// Proxy stands before the router: TLS in front, with a certificate that it makes itself, plain HTTP behind.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"time"

	"example.org/netsuite/internal/version"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("proxy: ")
	showVersion := flag.Bool("version", false, "print the version")
	selfTest := flag.Bool("self-test", false, "send one request through the proxy over loopback, and exit")
	listen := flag.String("listen", ":6443", "`address` to listen on")
	to := flag.String("to", "http://127.0.0.1:6784", "`URL` of the router")
	host := flag.String("host", "localhost", "`name` for the certificate")
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Line("proxy"))
		return
	}
	run := func() error { return serve(*listen, *to, *host) }
	if *selfTest {
		run = test
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func serve(listen, to, host string) error {
	target, err := url.Parse(to)
	if err != nil {
		return err
	}
	certificate, _, err := selfSigned(host)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr:              listen,
		Handler:           newProxy(target),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	return server.ListenAndServeTLS("", "")
}

func newProxy(target *url.URL) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Set("Via", "1.1 "+version.Line("proxy"))
		return nil
	}
	return proxy
}

func selfSigned(host string) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: host},
		DNSNames:              []string{host},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}

// test shows that key generation, a TLS handshake, and HTTP work on this processor.
func test() error {
	router := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello from the router")
	}))
	defer router.Close()
	target, err := url.Parse(router.URL)
	if err != nil {
		return err
	}
	certificate, pool, err := selfSigned("localhost")
	if err != nil {
		return err
	}
	front := httptest.NewUnstartedServer(newProxy(target))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.StartTLS()
	defer front.Close()
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}},
	}
	response, err := client.Get(front.URL)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if want := "1.1 " + version.Line("proxy"); response.Header.Get("Via") != want {
		return fmt.Errorf("Via is %q, want %q", response.Header.Get("Via"), want)
	}
	fmt.Printf("%s, %s: %s\n", tls.CipherSuiteName(response.TLS.CipherSuite)[:4], response.Proto, body)
	return nil
}
