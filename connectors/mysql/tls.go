package mysql

import (
	"crypto/tls"
	"errors"
	"os"

	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// storeKey is a key of ours, and the one that means the same to connectors/tlsstore.
type storeKey struct {
	ours, theirs string
	text         bool // of the file that ours names
}

func storeKeys() []storeKey {
	return []storeKey{
		{"database.ssl.ca", "ssl.truststore.certificates", true},
		{"database.ssl.truststore", "ssl.truststore.location", false},
		{"database.ssl.truststore.password", "ssl.truststore.password", false},
		{"database.ssl.cert", "ssl.keystore.certificate.chain", true},
		{"database.ssl.key", "ssl.keystore.key", true},
		{"database.ssl.keystore", "ssl.keystore.location", false},
		{"database.ssl.keystore.password", "ssl.keystore.password", false},
	}
}

// stores reads what the keys name. An error that is about one of them is a *tlsstore.Error.
func (s *settings) stores(identification string) (*tls.Config, error) {
	given := map[string]string{"ssl.endpoint.identification.algorithm": identification}
	for _, k := range storeKeys() {
		value := s.v.Password(k.ours).Reveal()
		if value != "" && k.text {
			text, err := os.ReadFile(value)
			if err != nil {
				return nil, &tlsstore.Error{Key: k.ours, Err: err}
			}
			value = string(text)
		}
		if value != "" {
			given[k.theirs] = value
		}
	}
	ours := func(theirs string) string {
		for _, k := range storeKeys() {
			if k.theirs == theirs {
				return k.ours
			}
		}
		return "database.ssl.mode"
	}
	v, problems := tlsstore.Definition().Parse(given)
	for _, p := range problems {
		return nil, &tlsstore.Error{Key: ours(p.Key), Err: errors.New(p.Message)}
	}
	c, err := tlsstore.Config(v, "")
	var at *tlsstore.Error
	if errors.As(err, &at) {
		err = &tlsstore.Error{Key: ours(at.Key), Err: at.Err}
	}
	return c, err
}

// tlsConfig returns how to encrypt, nil for not at all, and whether a server that cannot is good as well.
func (s *settings) tlsConfig() (c *tls.Config, optional bool, err error) {
	mode, identification := s.v.String("database.ssl.mode"), ""
	switch mode {
	case "disabled", "disable":
		return nil, false, nil
	case "verify_identity", "verify-full":
		identification = "https"
	}
	if c, err = s.stores(identification); err != nil {
		return nil, false, err
	}
	c.ServerName = s.v.String("database.hostname")
	switch mode {
	case "verify_ca", "verify-ca", "verify_identity", "verify-full":
		return c, false, nil
	}
	c.VerifyConnection = nil // encrypted, whoever it is
	return c, mode == "preferred" || mode == "prefer", nil
}
