package tlsstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"

	"github.com/sluicehub/sluice/configs"
)

func stored(name string) string { return filepath.Join("testdata", name) }

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(stored(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func config(pairs ...string) (*tls.Config, error) {
	const prefix = "p."
	given := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		given[prefix+pairs[i]] = pairs[i+1]
	}
	v, problems := Definition().WithPrefix(prefix, "").Parse(given)
	if err := configs.Err(problems); err != nil {
		return nil, err
	}
	return Config(v, prefix)
}

func TestDefinition(t *testing.T) {
	if err := Definition().Verify(); err != nil {
		t.Error(err)
	}
}

// handshake connects to a server that wants a certificate that the CA of testdata signed, and returns what the client
// sees of it.
func handshake(t *testing.T, c *tls.Config) error {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(stored("server.pem"), stored("server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := x509.NewCertPool()
	wanted.AppendCertsFromPEM([]byte(read(t, "ca.pem")))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: wanted})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if conn, err := ln.Accept(); err == nil {
			io.WriteString(conn, "in")
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), c)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	said, err := io.ReadAll(conn)
	if err == nil && string(said) != "in" {
		err = errors.New("the server said nothing")
	}
	var network *net.OpError
	if errors.As(err, &network) && network.Timeout() {
		t.Fatal(err)
	}
	return err
}

// split returns the certificate and the key of a PEM file.
func split(t *testing.T, name string) (cert, key string) {
	t.Helper()
	all, err := blocks([]byte(read(t, name)))
	if err != nil || len(all) != 2 {
		t.Fatalf("%d blocks, %v", len(all), err)
	}
	return string(pem.EncodeToMemory(all[0])), string(pem.EncodeToMemory(all[1]))
}

// encrypted returns the key as `openssl pkcs8 -topk8` encrypts it.
func encrypted(t *testing.T, key, password string) string {
	t.Helper()
	b, _ := pem.Decode([]byte(key))
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := pkcs8.ConvertPrivateKeyToPKCS8(parsed, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

func TestStores(t *testing.T) {
	const password = "store-secret"
	ca := read(t, "ca.pem")
	cert, key := split(t, "client.pem")
	hidden := encrypted(t, key, "key-secret")
	// As a .properties file gives a value that went over several lines.
	flat := func(text string) string { return strings.ReplaceAll(text, "\n", " ") }
	glued := func(text string) string { return strings.ReplaceAll(text, "\n", "") }
	file := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, []byte(cert+hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		pairs []string
	}{
		{"PEM files", []string{truststore, stored("ca.pem"), keystorePath, stored("client.pem"), truststoreType, "PEM", keystoreType, "PEM"}},
		{"PEM file, encrypted key", []string{truststore, stored("ca.pem"), keystorePath, file, keyPassword, "key-secret"}},
		{"PEM inline", []string{truststorePEM, ca, keystoreChainPEM, cert, keystoreKeyPEM, key, truststoreType, "PEM"}},
		{"PEM inline, encrypted key", []string{truststorePEM, ca, keystoreChainPEM, cert, keystoreKeyPEM, hidden, keyPassword, "key-secret"}},
		{"PEM inline, blanks for line ends", []string{truststorePEM, flat(ca), keystoreChainPEM, flat(cert), keystoreKeyPEM, flat(key)}},
		{"PEM inline, no line ends", []string{truststorePEM, glued(ca), keystoreChainPEM, glued(cert), keystoreKeyPEM, glued(key)}},
		{"JKS", []string{truststore, stored("trust.jks"), truststorePassword, password,
			keystorePath, stored("client.jks"), keystorePassword, password, keyPassword, "key-secret"}},
		{"PKCS#12", []string{truststore, stored("trust.p12"), truststorePassword, password, truststoreType, "PKCS12",
			keystorePath, stored("client.p12"), keystorePassword, password, keystoreType, "PKCS12"}},
		{"any name", []string{truststore, stored("ca.pem"), keystorePath, stored("client.pem"), identification, ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config(c.pairs...)
			if err != nil {
				t.Fatal(err)
			}
			if err := handshake(t, got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNamesAndChainsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		says  string // "": it connects
	}{
		{"another name", []string{truststore, stored("ca.pem"), keystorePath, stored("client.pem")}, "elsewhere"},
		{"another name, which does not matter", []string{truststore, stored("ca.pem"), keystorePath, stored("client.pem"), identification, ""}, ""},
		{"nobody trusted, the name does not matter", []string{truststorePEM, stranger(t), keystorePath, stored("client.pem"), identification, ""}, "unknown authority"},
		{"no certificate of ours", []string{truststore, stored("ca.pem"), identification, ""}, "certificate required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config(c.pairs...)
			if err != nil {
				t.Fatal(err)
			}
			got.ServerName = "elsewhere"
			err = handshake(t, got)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// stranger returns the certificate of a CA that signed nothing.
func stranger(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der}))
}

func TestWhatCannotBeUsed(t *testing.T) {
	ca := read(t, "ca.pem")
	cert, key := split(t, "client.pem")
	const wrong = "wrong-battery"
	for _, c := range []struct {
		name  string
		pairs []string
		key   string
		says  string
	}{
		{"no file", []string{truststore, stored("nowhere.jks")}, truststore, "no such file"},
		{"JKS, wrong password", []string{truststore, stored("trust.jks"), truststorePassword, wrong}, truststore, "p." + truststorePassword},
		{"PKCS#12, wrong password", []string{truststore, stored("trust.p12"), truststorePassword, wrong}, truststore, "p." + truststorePassword},
		{"no PEM", []string{truststorePEM, "MIIB"}, truststorePEM, "BEGIN CERTIFICATE"},
		{"a key for a certificate", []string{truststorePEM, key}, truststorePEM, "no certificate"},
		{"a certificate cut off", []string{truststorePEM, ca[:200] + "\n-----END CERTIFICATE-----"}, truststorePEM, ""},
		{"mixed up", []string{truststorePEM, strings.Replace(ca, "END CERTIFICATE", "END PRIVATE KEY", 1)}, truststorePEM, "followed by"},
		{"encrypted, no password", []string{keystoreChainPEM, cert, keystoreKeyPEM, encrypted(t, key, "key-secret")}, keystoreKeyPEM, "set p." + keyPassword},
		{"encrypted, wrong password", []string{keystoreChainPEM, cert, keystoreKeyPEM, encrypted(t, key, "key-secret"), keyPassword, wrong}, keystoreKeyPEM, "check p." + keyPassword},
		{"another's key", []string{keystoreChainPEM, ca, keystoreKeyPEM, key}, keystoreKeyPEM, "match"},
		{"key without certificate", []string{keystoreKeyPEM, key}, keystoreChainPEM, "missing"},
		{"both file and text", []string{truststorePEM, ca, truststore, stored("ca.pem")}, truststore, "Only one"},
		{"unknown comparison of names", []string{identification, "ldaps"}, identification, "https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config(c.pairs...)
			if err == nil || !strings.Contains(err.Error(), "p."+c.key) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want it at %s with %q", err, c.key, c.says)
			}
			if strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "key-secret") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

func FuzzPEM(f *testing.F) {
	for _, name := range []string{"ca.pem", "client.pem"} {
		data, err := os.ReadFile(stored(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add([]byte(strings.ReplaceAll(string(data), "\n", " ")))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if roots, err := trustedPEM(text); (roots == nil) == (err == nil) {
			t.Errorf("roots %v, error %v", roots, err)
		}
		_, _ = reader{}.keyPairPEM(text, "secret")
	})
}
