// Package tlsstore makes a TLS configuration from the keys that Kafka's Java clients and Confluent's connectors have for
// it, ssl.truststore.location and so on: who is trusted, and who we are. Stores are read as Java writes them (JKS,
// PKCS#12), and as PEM, in a file or in the key itself.
package tlsstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/sluicehub/sluice/configs"
)

// The keys. Who has them behind a prefix takes Definition().WithPrefix.
const (
	truststore         = "ssl.truststore.location"
	truststorePassword = "ssl.truststore.password"
	truststoreType     = "ssl.truststore.type"
	truststorePEM      = "ssl.truststore.certificates"
	keystorePath       = "ssl.keystore.location"
	keystorePassword   = "ssl.keystore.password"
	keystoreType       = "ssl.keystore.type"
	keystoreKeyPEM     = "ssl.keystore.key"
	keystoreChainPEM   = "ssl.keystore.certificate.chain"
	keyPassword        = "ssl.key.password"
	identification     = "ssl.endpoint.identification.algorithm"
)

// Definition returns the keys.
func Definition() *configs.Definition {
	const group = "Security"
	const reading = " The file itself says which it is, so this is for reading only."
	types := []string{"JKS", "PKCS12", "PEM"}
	return &configs.Definition{
		Keys: []configs.Key{
			{Name: truststore, Type: configs.String, Importance: configs.High, Group: group,
				Doc: "File of the certificates that are trusted: PEM, PKCS#12 or JKS. Without it, those of the system are."},
			{Name: truststorePassword, Type: configs.Password, Importance: configs.High, Group: group, Doc: "Password of a truststore in PKCS#12 or JKS."},
			{Name: truststoreType, Type: configs.String, Default: "JKS", Enum: types, Group: group, Doc: "Type of the truststore." + reading},
			{Name: truststorePEM, Type: configs.Password, Importance: configs.High, Group: group,
				Doc: "The certificates that are trusted, in PEM, in place of a file."},
			{Name: keystorePath, Type: configs.String, Importance: configs.High, Group: group,
				Doc: "File of the client's certificate and its key: PEM, PKCS#12 or JKS."},
			{Name: keystorePassword, Type: configs.Password, Importance: configs.High, Group: group, Doc: "Password of a keystore in PKCS#12 or JKS."},
			{Name: keystoreType, Type: configs.String, Default: "JKS", Enum: types, Group: group, Doc: "Type of the keystore." + reading},
			{Name: keystoreKeyPEM, Type: configs.Password, Importance: configs.High, Group: group,
				Doc: "The client's key, PKCS#8 in PEM, in place of a file. Needs " + keystoreChainPEM + "."},
			{Name: keystoreChainPEM, Type: configs.Password, Importance: configs.High, Group: group,
				Doc: "The client's certificate and those that it was signed with, in PEM, in place of a file."},
			{Name: keyPassword, Type: configs.Password, Importance: configs.High, Group: group,
				Doc: "Password of the key in a keystore in JKS, or of an encrypted key in PEM; without it, that of the keystore."},
			{Name: identification, Type: configs.String, Default: "https", Group: group, Check: checkIdentification,
				Doc: "https compares the server's name with its certificate; empty does not, and still checks who signed it."},
		},
		Rules: []configs.Rule{
			configs.AtMostOne(truststore, truststorePEM),
			configs.AtMostOne(keystorePath, keystoreKeyPEM),
			configs.Requires(keystoreKeyPEM, keystoreChainPEM),
			configs.Requires(keystoreChainPEM, keystoreKeyPEM),
		},
	}
}

func checkIdentification(value string) error {
	if value != "" && value != "https" && value != "HTTPS" {
		return errors.New("must be https, or empty for no comparison of names")
	}
	return nil
}

// Error says that what a key names cannot be used. No secret is in it.
type Error struct {
	Key string // with its prefix
	Err error
}

func (e *Error) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Config reads the stores that the keys behind a prefix name. An error is an *Error.
func Config(v configs.Values, prefix string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: v.String(prefix+identification) == ""}
	r := reader{v: v, prefix: prefix}
	var err error
	if c.RootCAs, err = r.roots(); err != nil {
		return nil, err
	}
	if c.InsecureSkipVerify { // names are not compared, but the chain is; without roots, those of the system
		c.VerifyConnection = verifyChain(c.RootCAs)
	}
	if c.Certificates, err = r.certificates(); err != nil {
		return nil, err
	}
	return c, nil
}

// ServerConfig reads the stores of who listens: the keystore is required, and the truststore says whose certificates
// clients may have. clientAuth is Kafka's ssl.client.auth: none, requested or required. An error is an *Error.
func ServerConfig(v configs.Values, prefix, clientAuth string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	r := reader{v: v, prefix: prefix}
	var err error
	if c.Certificates, err = r.certificates(); err != nil {
		return nil, err
	}
	if len(c.Certificates) == 0 {
		return nil, r.at(keystorePath, errors.New("a listener with TLS needs a certificate and its key: name the file that has them"))
	}
	if c.ClientCAs, err = r.roots(); err != nil {
		return nil, err
	}
	if clientAuth != "none" && c.ClientCAs == nil {
		return nil, r.at(truststore, errors.New("is missing; it says who signs the certificates that clients show"))
	}
	switch clientAuth {
	case "requested":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		c.ClientAuth = tls.RequireAndVerifyClientCert
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
