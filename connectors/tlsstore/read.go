package tlsstore

import (
	"bytes"
	"cmp"
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

// reader reads what the keys name.
type reader struct {
	v      configs.Values
	prefix string
}

func (r reader) password(key string) string { return r.v.Password(r.prefix + key).Reveal() }

// at puts an error to a key.
func (r reader) at(key string, err error) error { return &Error{Key: r.prefix + key, Err: err} }

// roots returns who is trusted; nil for whom the system trusts.
func (r reader) roots() (*x509.CertPool, error) {
	if text := r.password(truststorePEM); text != "" {
		certs, err := trustedPEM([]byte(text))
		if err != nil {
			return nil, r.at(truststorePEM, err)
		}
		return pool(certs), nil
	}
	path := r.v.String(r.prefix + truststore)
	if path == "" {
		return nil, nil
	}
	certs, err := r.readTruststore(path)
	if err != nil {
		return nil, r.at(truststore, err)
	}
	return pool(certs), nil
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	roots := x509.NewCertPool()
	for _, cert := range certs {
		roots.AddCert(cert)
	}
	return roots
}

// certificates returns who we are; none if nothing says so.
func (r reader) certificates() ([]tls.Certificate, error) {
	password := cmp.Or(r.password(keyPassword), r.password(keystorePassword))
	key, path := keystoreKeyPEM, r.v.String(r.prefix+keystorePath)
	var cert tls.Certificate
	var err error
	switch text := r.password(keystoreKeyPEM); {
	case text != "":
		cert, err = r.keyPairPEM([]byte(r.password(keystoreChainPEM)+"\n"+text), password)
	case path != "":
		key = keystorePath
		cert, err = r.readKeystore(path, password)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, r.at(key, err)
	}
	return []tls.Certificate{cert}, nil
}

// jksMagic begins a Java keystore, PEM is text, and PKCS#12 is what is left. The content decides, as in Java, where a
// store of one type loads also under the name of the other.
const jksMagic = 0xFEEDFEED

func isJKS(data []byte) bool {
	return len(data) >= 4 && binary.BigEndian.Uint32(data) == jksMagic
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// readTruststore reads the certificates that are trusted.
func (r reader) readTruststore(path string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	password := r.password(truststorePassword)
	switch {
	case isPEM(data):
		certs, err := trustedPEM(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return certs, nil
	case isJKS(data):
		return r.trustedJKS(path, data, password)
	}
	certs, err := pkcs12.DecodeTrustStore(data, password)
	if err != nil {
		return nil, r.notPKCS12(path, truststorePassword, err)
	}
	return certs, nil
}

func (r reader) trustedJKS(path string, data []byte, password string) (certs []*x509.Certificate, err error) {
	store, err := r.loadJKS(path, data, password, truststorePassword)
	if err != nil {
		return nil, err
	}
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
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s trusts no certificate; add one by: keytool -importcert -alias NAME -file CA.pem -keystore %[1]s", path)
	}
	return certs, nil
}

// readKeystore reads our certificate, what it was signed with, and its key. Of a Java keystore with several, the first
// by its alias is taken.
func (r reader) readKeystore(path, keyPassword string) (tls.Certificate, error) {
	var cert tls.Certificate
	data, err := os.ReadFile(path)
	if err != nil {
		return cert, err
	}
	switch {
	case isPEM(data):
		if cert, err = r.keyPairPEM(data, keyPassword); err != nil {
			return cert, fmt.Errorf("%s: %w", path, err)
		}
		return cert, nil
	case isJKS(data):
		return r.keyPairJKS(path, data, keyPassword)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, r.password(keystorePassword))
	if err != nil {
		return cert, r.notPKCS12(path, keystorePassword, err)
	}
	cert.PrivateKey = key
	for _, c := range append([]*x509.Certificate{leaf}, chain...) {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert, nil
}

func (r reader) keyPairJKS(path string, data []byte, password string) (cert tls.Certificate, err error) {
	store, err := r.loadJKS(path, data, r.password(keystorePassword), keystorePassword)
	if err != nil {
		return cert, err
	}
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(password))
		if err != nil {
			return cert, fmt.Errorf("%s: entry %s: %w; check %s", path, alias, err, r.prefix+keyPassword)
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

func (r reader) loadJKS(path string, data []byte, password, passwordKey string) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), []byte(password)); err != nil {
		return store, fmt.Errorf("%s is a Java keystore and cannot be read: %w; check %s", path, err, r.prefix+passwordKey)
	}
	return store, nil
}

func (r reader) notPKCS12(path, passwordKey string, err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return fmt.Errorf("%s: the password is not right; check %s", path, r.prefix+passwordKey)
	}
	return fmt.Errorf("%s is no PEM file, no Java keystore, and as PKCS#12 it cannot be read: %w", path, err)
}
