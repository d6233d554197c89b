package services

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Files in a broker's folder.
const (
	kafkaCA     = "ca.pem"
	kafkaServer = "server.pem"
)

// secureKafka adds a listener with TLS and passwords to the settings, and
// returns what the formatting of the data folder is told about the users.
func secureKafka(settings map[string]string, dir string, port *Port, users map[string]string) []string {
	const listener, module = "listener.name.secured.", "org.apache.kafka.common.security."
	settings["listeners"] += ",SECURED://" + port.Addr()
	settings["advertised.listeners"] += ",SECURED://" + port.Addr()
	settings["listener.security.protocol.map"] += ",SECURED:SASL_SSL"
	settings[listener+"ssl.keystore.type"] = "PEM"
	settings[listener+"ssl.keystore.location"] = filepath.Join(dir, kafkaServer)
	settings[listener+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
	login := module + "plain.PlainLoginModule required"
	var scram []string
	for _, user := range slices.Sorted(maps.Keys(users)) {
		login += fmt.Sprintf(" user_%s=%q", user, users[user]) // quoted alike in Go and in JAAS
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			scram = append(scram, "--add-scram", fmt.Sprintf(`%s=[name="%s",password="%s"]`, mechanism, user, users[user]))
		}
	}
	settings[listener+"plain.sasl.jaas.config"] = strings.ReplaceAll(login, `\`, `\\`) + ";" // as .properties want it
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		settings[listener+mechanism+".sasl.jaas.config"] = module + "scram.ScramLoginModule required;"
	}
	return scram
}

// certify makes a certificate of 127.0.0.1 with its key, and that of the CA that
// signed it, in dir.
func certify(dir string) error {
	caKey, caErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(caErr, err); err != nil {
		return err
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"}, NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	caDER, caErr := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	serverDER, serverErr := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), caKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(caErr, serverErr, err); err != nil {
		return err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return errors.Join(
		os.WriteFile(filepath.Join(dir, kafkaCA), block("CERTIFICATE", caDER), 0o644),
		os.WriteFile(filepath.Join(dir, kafkaServer), append(block("CERTIFICATE", serverDER), block("PRIVATE KEY", keyDER)...), 0o600))
}
