package hub

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

const (
	alicePlain = plainLogin + ` required username="alice" password="hush-alice";`
	bobScram   = scramLogin + ` required username="bob" password="hush-bob";`
)

func pairs(kv ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		out[kv[i]] = kv[i+1]
	}
	return out
}

func TestSecurityDefinition(t *testing.T) {
	if err := securityDefinition().Verify(); err != nil {
		t.Error(err)
	}
	for _, k := range tlsstore.Definition().Keys {
		if !slices.ContainsFunc(WorkerDefinition().Keys, func(w configs.Key) bool { return w.Name == k.Name }) {
			t.Errorf("a worker does not know %s", k.Name)
		}
	}
}

func TestSecurityOptions(t *testing.T) {
	ca := filepath.Join("..", "connectors", "tlsstore", "testdata", "ca.pem")
	for _, c := range []struct {
		name   string
		worker map[string]string
		n      int      // options
		says   []string // of an error
		reads  bool     // stores are read to see it
	}{
		{"nothing", pairs(), 0, nil, false},
		{"PLAINTEXT", pairs("security.protocol", "PLAINTEXT", "sasl.mechanism", "GSSAPI"), 0, nil, false},
		{"SSL", pairs("security.protocol", "SSL"), 1, nil, false},
		{"in small letters", pairs("security.protocol", "ssl", "ssl.truststore.location", ca), 1, nil, false},
		{"PLAIN", pairs("security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN", "sasl.jaas.config", alicePlain), 1, nil, false},
		{"SCRAM-SHA-256", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "SCRAM-SHA-256", "sasl.jaas.config", bobScram), 2, nil, false},
		{"SCRAM-SHA-512", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "SCRAM-SHA-512", "sasl.jaas.config", bobScram), 2, nil, false},
		{"the other module", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN", "sasl.jaas.config", bobScram), 2, nil, false},
		{"unknown protocol", pairs("security.protocol", "TLS"), 0, []string{"security.protocol", "SASL_SSL"}, false},
		{"no mechanism", pairs("security.protocol", "SASL_SSL", "sasl.jaas.config", alicePlain), 0, []string{"sasl.mechanism", "GSSAPI", "SCRAM-SHA-512"}, false},
		{"Kerberos", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "GSSAPI", "sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;"), 0,
			[]string{"sasl.mechanism", "Kerberos", "SCRAM-SHA-512"}, false},
		{"Kerberos' module", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN", "sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;"), 0,
			[]string{"sasl.jaas.config", "Kerberos", "PlainLoginModule"}, false},
		{"OAuth", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "OAUTHBEARER"), 0, []string{"sasl.mechanism", "OAUTHBEARER", "tokens"}, false},
		{"another", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "AWS_MSK_IAM"), 0, []string{"sasl.mechanism", "AWS_MSK_IAM", "PLAIN"}, false},
		{"no JAAS", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN"), 0, []string{"sasl.jaas.config", "missing", "PlainLoginModule required"}, false},
		{"broken JAAS", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "SCRAM-SHA-256", "sasl.jaas.config", strings.TrimSuffix(bobScram, ";")), 0,
			[]string{"sasl.jaas.config", "semicolon", "ScramLoginModule required"}, false},
		{"a password for JAAS", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN", "sasl.jaas.config", "hush required;"), 0,
			[]string{"sasl.jaas.config", "PlainLoginModule"}, false},
		{"no password", pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN", "sasl.jaas.config", plainLogin+` required username="alice";`), 0,
			[]string{"sasl.jaas.config", "no password"}, false},
		{"no such store", pairs("security.protocol", "SSL", "ssl.truststore.location", "/nowhere/trust.jks"), 0, []string{"ssl.truststore.location", "/nowhere/trust.jks"}, true},
		{"two stores", pairs("security.protocol", "SSL", "ssl.truststore.location", ca, "ssl.truststore.certificates", "x"), 0, []string{"ssl.truststore.location", "Only one"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.worker["bootstrap.servers"] = "localhost:1"
			opts, err := securityOptions(c.worker)
			if len(c.says) == 0 {
				if err != nil || len(opts) != c.n {
					t.Errorf("got %d options, %v", len(opts), err)
				}
				return
			}
			errs := []error{err}
			if _, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil), Worker: c.worker}); !c.reads {
				errs = append(errs, err)
			} else if err != nil { // a hub that only checks configurations may be on another machine
				t.Errorf("a hub that does not run: %v", err)
			}
			for _, err := range errs {
				for _, says := range c.says {
					if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
						t.Errorf("got %v, want %q", err, says)
					}
				}
			}
		})
	}
	if opts, err := securityOptions(pairs("security.protocol", "SASL_SSL")); len(opts) > 0 || err != nil {
		t.Errorf("embedded: %d options, %v", len(opts), err)
	}
}

func TestLayersOfSecurity(t *testing.T) {
	worker := layer{keys: pairs("security.protocol", "SASL_SSL", "sasl.mechanism", "SCRAM-SHA-512", "sasl.jaas.config", bobScram,
		"ssl.truststore.location", "worker.jks", "ssl.truststore.password", "hush")}
	producer := layer{"producer.", pairs("sasl.jaas.config", alicePlain)}
	override := layer{"producer.override.", pairs("ssl.truststore.certificates", "PEM", "sasl.mechanism", "PLAIN")}
	for _, c := range []struct {
		layers []layer
		prefix string
		key    string
		want   string
	}{
		{[]layer{worker}, "", "sasl.mechanism", "SCRAM-SHA-512"},
		{[]layer{worker, {"producer.", nil}}, "", "sasl.jaas.config", bobScram},
		{[]layer{worker, producer}, "producer.", "sasl.jaas.config", alicePlain},
		{[]layer{worker, producer}, "producer.", "security.protocol", "SASL_SSL"},
		{[]layer{worker, producer}, "producer.", "ssl.truststore.location", "worker.jks"},
		{[]layer{worker, producer, override}, "producer.override.", "sasl.mechanism", "PLAIN"},
		{[]layer{worker, producer, override}, "producer.override.", "sasl.jaas.config", alicePlain},
		{[]layer{worker, producer, override}, "producer.override.", "ssl.truststore.location", ""},
		{[]layer{worker, producer, override}, "producer.override.", "ssl.truststore.certificates", "PEM"},
	} {
		got := top(c.layers...)
		if got.prefix != c.prefix || got.keys[c.key] != c.want {
			t.Errorf("%d layers, %s: got %q behind %q, want %q behind %q", len(c.layers), c.key, got.keys[c.key], got.prefix, c.want, c.prefix)
		}
	}
}

// checked returns what a hub says about a sink's configuration.
func checked(t *testing.T, worker map[string]string, kv ...string) configs.Infos {
	t.Helper()
	h, err := New(Options{Launcher: newFakeWorld(), Formats: DefaultFormats(nil, nil), Worker: worker})
	if err != nil {
		t.Fatal(err)
	}
	config := sink(kv...)
	config["name"] = "out"
	infos, err := h.CheckDeclared(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func TestSecurityInOverrides(t *testing.T) {
	worker := pairs("bootstrap.servers", "localhost:1", "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN", "sasl.jaas.config", alicePlain,
		"consumer.security.protocol", "SASL_PLAINTEXT")
	const key = "consumer.override.sasl.jaas.config"
	if infos := checked(t, worker, key, bobScram, "consumer.override.sasl.mechanism", "SCRAM-SHA-512"); infos.ErrorCount > 0 || len(infos.Warnings) > 0 {
		t.Errorf("a good one: %d errors, %v", infos.ErrorCount, infos.Warnings)
	}
	infos := checked(t, worker, key, strings.Replace(bobScram, `password="hush-bob"`, "password=5hush", 1))
	if got := errorsOf(infos, key); !strings.Contains(got, "quotes") || strings.Contains(got, "hush") {
		t.Errorf("a broken one: %q", got)
	}
	if got := errorsOf(checked(t, worker, "producer.override.security.protocol", "TLS"), "producer.override.security.protocol"); !strings.Contains(got, "SASL_SSL") {
		t.Errorf("an unknown protocol: %q", got)
	}
	// What is not on this machine is no mistake of the configuration.
	if infos := checked(t, worker, "admin.override.security.protocol", "SASL_SSL", "admin.override.ssl.truststore.location", "/there/trust.jks"); infos.ErrorCount > 0 {
		t.Errorf("a store elsewhere: %d errors", infos.ErrorCount)
	}
	infos = checked(t, nil, key, "nonsense")
	if infos.ErrorCount > 0 || !slices.ContainsFunc(infos.Warnings, func(p configs.Problem) bool { return p.Key == key && strings.Contains(p.Message, "embedded") }) {
		t.Errorf("with the embedded log: %d errors, %v", infos.ErrorCount, infos.Warnings)
	}
}

func TestSecurityOfTheEmbeddedLogIsNotTakenInSilence(t *testing.T) {
	_, problems := WorkerDefinition().Parse(pairs("security.protocol", "SASL_SSL"))
	if len(problems) != 1 || problems[0].IsError() || !strings.Contains(problems[0].Message, "embedded") {
		t.Errorf("got %v", problems)
	}
	_, problems = WorkerDefinition().Parse(pairs("bootstrap.servers", "localhost:1", "ssl.cipher.suites", "x", "security.protocol", "SSL"))
	if len(problems) != 1 || problems[0].IsError() || !strings.Contains(problems[0].Message, "no effect") {
		t.Errorf("got %v", problems)
	}
}

func TestSecretsInJAAS(t *testing.T) {
	r := configs.Resolved{Config: pairs("sasl.jaas.config", alicePlain, "producer.sasl.jaas.config", bobScram, "consumer.override.ssl.keystore.key", "hush-key",
		"ssl.keystore.key", "hush-worker-key", "admin.ssl.keystore.password", "hush-store")}
	got := Secrets(WorkerDefinition(), r)
	for _, want := range []string{alicePlain, "hush-alice", bobScram, "hush-bob", "hush-key", "hush-worker-key", "hush-store"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among the secrets", want)
		}
	}
}
