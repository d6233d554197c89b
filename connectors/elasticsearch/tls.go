package elasticsearch

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/sluicehub/sluice/configs"
	"software.sslmate.com/src/go-pkcs12"
)

// Keys that say who is trusted, and who we are.
const (
	keyTruststore         = "elastic.https.ssl.truststore.location"
	keyTruststorePassword = "elastic.https.ssl.truststore.password"
	keyKeystore           = "elastic.https.ssl.keystore.location"
	keyKeystorePassword   = "elastic.https.ssl.keystore.password"
	keyKeyPassword        = "elastic.https.ssl.key.password"
	keyIdentification     = "elastic.https.ssl.endpoint.identification.algorithm"
)

// keyError says that what a key of the configuration names cannot be used.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// newTLS reads the stores that the configuration names.
func newTLS(v configs.Values) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: v.String(keyIdentification) == ""}
	if path := v.String(keyTruststore); path != "" {
		roots, err := readTruststore(path, v.Password(keyTruststorePassword).Reveal())
		if err != nil {
			return nil, &keyError{keyTruststore, err}
		}
		c.RootCAs = roots
	}
	if c.InsecureSkipVerify { // names are not compared, but the chain is; without roots, those of the system
		c.VerifyConnection = verifyChain(c.RootCAs)
	}
	if path := v.String(keyKeystore); path != "" {
		password := v.Password(keyKeystorePassword).Reveal()
		keyPassword := v.Password(keyKeyPassword).Reveal()
		if keyPassword == "" {
			keyPassword = password
		}
		cert, err := readKeystore(path, password, keyPassword)
		if err != nil {
			return nil, &keyError{keyKeystore, err}
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// verifyChain checks a server's certificate against the roots, whatever its name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(o)
		return err
	}
}

// jksMagic begins a Java keystore, PEM is text, and PKCS#12 is what is left. The content decides, as in Java, where a
// store of one type loads also under the name of the other.
const jksMagic = 0xFEEDFEED

func isJKS(data []byte) bool {
	return len(data) >= 4 && binary.BigEndian.Uint32(data) == jksMagic
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// readTruststore reads the certificates that are trusted.
func readTruststore(path, password string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	switch {
	case isPEM(data):
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate that can be read", path)
		}
	case isJKS(data):
		store, err := loadJKS(path, data, password, keyTruststorePassword)
		if err != nil {
			return nil, err
		}
		any := false
		for _, alias := range store.Aliases() {
			if !store.IsTrustedCertificateEntry(alias) {
				continue
			}
			entry, err := store.GetTrustedCertificateEntry(alias)
			if err != nil {
				return nil, fmt.Errorf("%s: entry %s: %w", path, alias, err)
			}
			cert, err := x509.ParseCertificate(entry.Certificate.Content)
			if err != nil {
				return nil, fmt.Errorf("%s: entry %s: %w", path, alias, err)
			}
			roots.AddCert(cert)
			any = true
		}
		if !any {
			return nil, fmt.Errorf("%s trusts no certificate; add one by: keytool -importcert -alias NAME -file CA.pem -keystore %[1]s", path)
		}
	default:
		certs, err := pkcs12.DecodeTrustStore(data, password)
		if err != nil {
			return nil, notPKCS12(path, keyTruststorePassword, err)
		}
		for _, cert := range certs {
			roots.AddCert(cert)
		}
	}
	return roots, nil
}

// readKeystore reads our certificate, what it was signed with, and its key. Of a Java keystore with several, the first
// by its alias is taken.
func readKeystore(path, password, keyPassword string) (tls.Certificate, error) {
	var cert tls.Certificate
	data, err := os.ReadFile(path)
	if err != nil {
		return cert, err
	}
	switch {
	case isPEM(data):
		if cert, err = tls.X509KeyPair(data, data); err != nil {
			return cert, fmt.Errorf("%s: %w; a PEM file must hold the certificate and its key, not encrypted", path, err)
		}
		return cert, nil
	case isJKS(data):
		store, err := loadJKS(path, data, password, keyKeystorePassword)
		if err != nil {
			return cert, err
		}
		for _, alias := range store.Aliases() {
			if !store.IsPrivateKeyEntry(alias) {
				continue
			}
			entry, err := store.GetPrivateKeyEntry(alias, []byte(keyPassword))
			if err != nil {
				return cert, fmt.Errorf("%s: entry %s: %w; check %s", path, alias, err, keyKeyPassword)
			}
			for _, c := range entry.CertificateChain {
				cert.Certificate = append(cert.Certificate, c.Content)
			}
			if cert.PrivateKey, err = x509.ParsePKCS8PrivateKey(entry.PrivateKey); err != nil {
				return cert, fmt.Errorf("%s: entry %s: %w", path, alias, err)
			}
			return cert, nil
		}
		return cert, fmt.Errorf("%s holds no private key", path)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return cert, notPKCS12(path, keyKeystorePassword, err)
	}
	cert.PrivateKey = key
	for _, c := range append([]*x509.Certificate{leaf}, chain...) {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert, nil
}

func loadJKS(path string, data []byte, password, passwordKey string) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), []byte(password)); err != nil {
		return store, fmt.Errorf("%s is a Java keystore and cannot be read: %w; check %s", path, err, passwordKey)
	}
	return store, nil
}

func notPKCS12(path, passwordKey string, err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return fmt.Errorf("%s: the password is not right; check %s", path, passwordKey)
	}
	return fmt.Errorf("%s is no PEM file, no Java keystore, and as PKCS#12 it cannot be read: %w", path, err)
}
