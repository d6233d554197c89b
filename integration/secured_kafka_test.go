package integration

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"software.sslmate.com/src/go-pkcs12"
)

// Passwords of users, and of stores. None may be seen anywhere.
const (
	alicesPassword = `it's; $3 = a\b-hush`
	bobsPassword   = "bob-hush"
	storePassword  = "store-hush"
	wrongPassword  = "wrong-hush"
)

// jaas is what users write into a .properties file.
func jaas(module, user, password string) string {
	quoted := strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`).Replace(password) // once for JAAS, once for .properties
	return fmt.Sprintf(`org.apache.kafka.common.security.%sLoginModule required username="%s" password="%s";`, module, user, quoted)
}

// securedKafka starts a broker with users, and returns beside it a truststore as keytool makes it.
func securedKafka(t *testing.T) (kafka *services.Kafka, truststore string) {
	t.Helper()
	kafka, err := services.StartKafka(t.Context(), services.KafkaOptions{Users: map[string]string{"alice": alicesPassword, "bob": bobsPassword}})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(kafka.LogTail())
		}
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	text, err := os.ReadFile(kafka.CA)
	must(t, err)
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	store, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{ca}, storePassword)
	must(t, err)
	truststore = filepath.Join(t.TempDir(), "trust.p12")
	must(t, os.WriteFile(truststore, store, 0o600))
	return kafka, truststore
}

// secured are the settings of a worker on the secured listener, and others over them.
func secured(kafka *services.Kafka, truststore string, pairs ...string) map[string]string {
	settings := map[string]string{"bootstrap.servers": kafka.Secured, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
		"sasl.jaas.config": jaas("scram.Scram", "alice", alicesPassword), "ssl.truststore.location": truststore,
		"ssl.truststore.password": storePassword, "ssl.truststore.type": "PKCS12", "offset.flush.interval.ms": "500"}
	for i := 0; i < len(pairs); i += 2 {
		settings[pairs[i]] = pairs[i+1]
	}
	return settings
}

// noSecret fails if a password is in a text.
func noSecret(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, "hush") {
		t.Errorf("a password is in %s: %s", where, text)
	}
}

// On a cluster with TLS and passwords everything works that works without: records, the hub's topics, schemas.
func TestOnASecuredKafka(t *testing.T) {
	t.Parallel()
	kafka, truststore := securedKafka(t)
	pemText, err := os.ReadFile(kafka.CA)
	must(t, err)
	inline := strings.ReplaceAll(strings.TrimSpace(string(pemText)), "\n", `\n`)
	plainAlice := jaas("plain.Plain", "alice", alicesPassword)
	for i, settings := range []map[string]string{
		secured(kafka, truststore),
		// As Kafka Connect wants it: each kind of client on its own. Alice writes, Bob reads.
		secured(kafka, truststore, "sasl.mechanism", "PLAIN", "sasl.jaas.config", plainAlice,
			"producer.security.protocol", "SASL_SSL", "producer.sasl.mechanism", "PLAIN", "producer.sasl.jaas.config", plainAlice,
			"producer.ssl.truststore.location", truststore, "producer.ssl.truststore.password", storePassword, "producer.ssl.truststore.type", "PKCS12",
			"consumer.security.protocol", "SASL_SSL", "consumer.sasl.mechanism", "SCRAM-SHA-256", "consumer.sasl.jaas.config", jaas("scram.Scram", "bob", bobsPassword),
			"consumer.ssl.truststore.certificates", inline, "consumer.ssl.truststore.type", "PEM"),
	} {
		l := newLineStream(t, settings)
		ctx := deadline(t)
		l.write(fmt.Sprintf("line %d", i))
		l.arrives(fmt.Sprintf("line %d", i))
		status, body, err := worker.Do(ctx, http.MethodPost, l.Registry+"/subjects/lines-value/versions", `{"schema": "\"string\""}`)
		if err != nil || status != http.StatusOK {
			t.Errorf("the registry answered %d %s, %v", status, body, err)
		}
		must(t, l.Stop())
		noSecret(t, "the log", l.Log())
	}
	keptOnKafka(t, kafka, "lines", "connect-lines-sink")
	wrongOverride(t, kafka, truststore)
}

// wrongOverride gives a connector a user whom the brokers do not take. It alone fails, and says so.
func wrongOverride(t *testing.T, kafka *services.Kafka, truststore string) {
	t.Helper()
	in := filepath.Join(t.TempDir(), "in")
	must(t, os.WriteFile(in, []byte("a line\n"), 0o600))
	w := startWorker(t, worker.Options{Settings: secured(kafka, truststore), Env: []string{"LINES_IN=" + in, "LINES_OUT=" + in + ".out"}})
	ctx := deadline(t)
	config := map[string]string{"name": "other", "connector.class": "FileStreamSource", "file": in, "topic": "others"}
	const key = "producer.override.sasl.jaas.config"
	config[key] = `org.apache.kafka.common.security.scram.ScramLoginModule required username="bob" password="` + wrongPassword + `";`
	validated, body, err := w.Do(ctx, http.MethodPut, "/connector-plugins/FileStreamSource/config/validate", config)
	if err != nil || validated != http.StatusOK || !strings.Contains(string(body), key) {
		t.Errorf("validate: %d %s, %v", validated, body, err)
	}
	noSecret(t, "the answer to validate", string(body))
	must(t, w.Put(ctx, "other", config))
	must(t, w.Wait(ctx, "the task to say what is wrong", func() error {
		_, body, err := w.Do(ctx, http.MethodGet, "/connectors/other/status", nil)
		if err == nil && !strings.Contains(string(body), "check "+key) {
			err = fmt.Errorf("%s", body)
		}
		noSecret(t, "the status", string(body))
		return err
	}))
	must(t, w.Running(ctx, "lines-sink"))
	config[key] = strings.Replace(config[key], wrongPassword, bobsPassword, 1)
	must(t, w.Put(ctx, "other", config))
	must(t, w.Running(ctx, "other"))
	delete(config, key)
	config["producer.override.sasl.mechanism"] = "GSSAPI"
	status, body, err := w.Do(ctx, http.MethodPut, "/connectors/other/config", config)
	if err != nil || status != http.StatusBadRequest || !strings.Contains(string(body), "Kerberos") {
		t.Errorf("with Kerberos: %d %s, %v", status, body, err)
	}
	noSecret(t, "the log", w.Log())
}

// A worker whom the brokers will never take does not start, and says in a line what to do.
func TestBrokersThatRefuse(t *testing.T) {
	t.Parallel()
	kafka, truststore := securedKafka(t)
	_, port, err := net.SplitHostPort(kafka.Secured)
	must(t, err)
	for name, c := range map[string]struct {
		settings map[string]string
		says     []string
	}{
		"wrong password, SCRAM": {secured(kafka, truststore, "sasl.jaas.config", jaas("scram.Scram", "alice", wrongPassword)), []string{"sasl.jaas.config", "password"}},
		"wrong password, PLAIN": {secured(kafka, truststore, "sasl.mechanism", "PLAIN", "sasl.jaas.config", jaas("plain.Plain", "alice", wrongPassword)),
			[]string{"sasl.jaas.config", "password"}},
		"unknown user":       {secured(kafka, truststore, "sasl.jaas.config", jaas("scram.Scram", "carol", wrongPassword)), []string{"sasl.jaas.config", "password"}},
		"nobody trusted":     {secured(kafka, "", "ssl.truststore.password", ""), []string{"ssl.truststore.location"}},
		"another name":       {secured(kafka, truststore, "bootstrap.servers", "localhost:"+port), []string{"ssl.endpoint.identification.algorithm"}},
		"plaintext to TLS":   {secured(kafka, truststore, "security.protocol", "PLAINTEXT"), []string{"security.protocol", "SASL_SSL"}},
		"password to TLS":    {secured(kafka, truststore, "security.protocol", "SASL_PLAINTEXT"), []string{"security.protocol", "SASL_SSL"}},
		"no password to TLS": {secured(kafka, truststore, "security.protocol", "SSL"), []string{"security.protocol", "SASL_SSL"}},
		"TLS to plaintext":   {secured(kafka, truststore, "bootstrap.servers", kafka.Bootstrap), []string{"security.protocol", "PLAINTEXT"}},
		"password to plaintext": {secured(kafka, truststore, "bootstrap.servers", kafka.Bootstrap, "security.protocol", "SASL_PLAINTEXT"),
			[]string{"security.protocol", "PLAINTEXT"}},
		"wrong password of a store": {secured(kafka, truststore, "ssl.truststore.password", wrongPassword), []string{"ssl.truststore.password"}},
		"Kerberos":                  {secured(kafka, truststore, "sasl.mechanism", "GSSAPI"), []string{"sasl.mechanism", "Kerberos", "SCRAM-SHA-512"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorker(t, worker.Options{Settings: c.settings})
			must(t, w.Begin())
			code, err := w.Exit(deadline(t))
			must(t, err)
			said := w.Log()
			t.Log(lastLine(said))
			if code != 1 || strings.Count("\n"+said, "\nsluice: ") != 1 || !strings.HasPrefix(lastLine(said), "sluice: ") {
				t.Errorf("exit code %d, %s", code, said)
			}
			for _, says := range c.says {
				if !strings.Contains(lastLine(said), says) {
					t.Errorf("%q is not in %s", says, lastLine(said))
				}
			}
			noSecret(t, "the log", said)
		})
	}
}
