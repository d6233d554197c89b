package tlsstore

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/youmark/pkcs8"
)

// block is a PEM block as Kafka takes it: in a .properties file a value that goes over several lines comes as one, so
// blanks, or nothing at all, stand where PEM has line ends.
var block = regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END ([A-Z0-9 ]+)-----`)

const certificateBlock = "CERTIFICATE"

// blocks returns the PEM blocks of a text. What is between them is skipped.
func blocks(text []byte) ([]*pem.Block, error) {
	var out []*pem.Block
	for _, m := range block.FindAllSubmatch(text, -1) {
		name := string(m[1])
		if name != string(m[3]) {
			return nil, fmt.Errorf("BEGIN %s is followed by END %s", name, m[3])
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[2])), ""))
		if err != nil {
			return nil, fmt.Errorf("the PEM block %s cannot be read: %w", name, err)
		}
		out = append(out, &pem.Block{Type: name, Bytes: der})
	}
	return out, nil
}

// trustedPEM returns the certificates of a text.
func trustedPEM(text []byte) ([]*x509.Certificate, error) {
	all, err := blocks(text)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, b := range all {
		if b.Type != certificateBlock {
			continue
		}
		cert, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("there is no certificate in it that can be read; it begins with -----BEGIN CERTIFICATE-----")
	}
	return certs, nil
}

// keyPairPEM returns the certificate, what it was signed with, and its key, which may be encrypted.
func (r reader) keyPairPEM(text []byte, password string) (tls.Certificate, error) {
	all, err := blocks(text)
	if err != nil {
		return tls.Certificate{}, err
	}
	var certs, key bytes.Buffer
	for _, b := range all {
		to := &certs
		if b.Type != certificateBlock {
			to = &key
		}
		if b.Type == "ENCRYPTED PRIVATE KEY" {
			if b, err = r.decrypt(b, password); err != nil {
				return tls.Certificate{}, err
			}
		}
		if err := pem.Encode(to, b); err != nil {
			return tls.Certificate{}, err
		}
	}
	cert, err := tls.X509KeyPair(certs.Bytes(), key.Bytes())
	if err != nil {
		return cert, fmt.Errorf("%w; in PEM there must be a certificate and its key", err)
	}
	return cert, nil
}

// decrypt decrypts a key in PKCS#8.
func (r reader) decrypt(b *pem.Block, password string) (*pem.Block, error) {
	if password == "" {
		return nil, fmt.Errorf("the key is encrypted; set %s", r.prefix+keyPassword)
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(b.Bytes, []byte(password))
	if err != nil {
		return nil, fmt.Errorf("the key cannot be decrypted: %w; check %s", err, r.prefix+keyPassword)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, nil
}
