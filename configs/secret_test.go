package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestSecretDoesNotPrint(t *testing.T) {
	s := NewSecret("hunter2")
	if s.Reveal() != "hunter2" || s.IsEmpty() || !NewSecret("").IsEmpty() || (Secret{}).Reveal() != "" {
		t.Error("Reveal")
	}
	hidden := struct {
		public Secret
		other  *Secret
	}{s, &s}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		fmt.Fprintf(&b, verb+" "+verb+" "+verb+"\n", s, &s, hidden)
	}
	data, err := json.Marshal(map[string]any{"s": s, "p": &s, "in": struct{ S Secret }{s}})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(data)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "s", s, "p", &s, "struct", hidden)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "s", s, "p", &s, "struct", struct{ S Secret }{s})
	if text := b.String(); strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(text, Mask) {
		t.Error(text)
	}
}

func TestSecrets(t *testing.T) {
	d := &Definition{Keys: []Key{
		{Name: "database.password", Type: Password, Aliases: []string{"pw"}},
		{Name: "snapshot.mode", Type: String, Enum: []string{"initial"}},
		{Name: "database.port", Type: Int},
		{Name: "database.hostname", Type: String},
		{Name: "token.column", Type: String},
		{Name: "connection.url", Type: String},
		{Name: "pin", Type: String, Secret: true},
		{Name: "producer.override.*", Type: String},
	}}
	resolver, _ := NewResolver(nil, func(name string) (string, bool) { return "env-" + name, true })
	resolved, _ := resolver.Resolve(map[string]string{
		"database.password":                  "plain-pw",
		"pw":                                 "alias-pw",
		"snapshot.mode":                      "${env:MODE}",
		"database.port":                      "${env:PORT}",
		"database.hostname":                  "${env:HOST}",
		"producer.override.client.id":        "${env:CLIENT}",
		"token.column":                       "id_token",
		"connection.url":                     "https://elastic:url-pw@host:9200/?a=b&password=param-pw",
		"pin":                                " 123 ",
		"producer.override.sasl.jaas.config": "jaas-text",
		"producer.override.acks":             "all-acks",
		"topic":                              "a-${env:PART}",
		"api_key":                            "undeclared-key",
	})
	got := d.Secrets(resolved)
	want := []string{" 123 ", "123", "alias-pw", "env-CLIENT", "env-PART", "jaas-text", "param-pw", "plain-pw", "undeclared-key", "url-pw"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestRedact(t *testing.T) {
	var r Redactor
	if r.Redact("nothing known") != "nothing known" {
		t.Error("the zero Redactor changes texts")
	}
	pem := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END KEY-----\n"
	r.Set("orders", []string{"hunter2", "p@ss w/rd", "say \"hi\"", "abc", "true", "abcdef", "defghi", pem, "ünï"})
	tests := []struct{ in, want string }{
		{"", ""},
		{"pw=hunter2!", "pw=********!"},
		{"hunter2hunter2", "****************"},
		{"postgres://u:p%40ss%20w%2Frd@h and p%40ss+w%2Frd", "postgres://u:********@h and ********"},
		{`{"x":"say \"hi\""}`, `{"x":"********"}`},
		{"abc is short, true too", "abc is short, true too"},
		{"xabcdefghix", "x********x"},
		{"line MIIEvQIBADANBgkqhkiG9w0BAQ here", "line ******** here"},
		{"an ünï in it", "an ******** in it"},
	}
	for _, tt := range tests {
		if got := r.Redact(tt.in); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestRedactorOwners(t *testing.T) {
	var r Redactor
	r.Set("a", []string{"secret-one"})
	r.Set("b", []string{"secret-bee"})
	r.Set("a", []string{"secret-two"})
	r.Set("a", []string{"secret-two"})
	if got := r.Redact("secret-one secret-two secret-bee"); got != "******** ******** ********" {
		t.Error(got)
	}
	r.Set("a", []string{"secret-three"})
	r.Forget("b")
	if got := r.Redact("secret-one secret-two secret-three secret-bee"); got != "secret-one ******** ******** secret-bee" {
		t.Error(got)
	}
}

func TestRedactHandler(t *testing.T) {
	var r Redactor
	r.Set("a", []string{"hunter2"})
	var out bytes.Buffer
	log := slog.New(r.Handler(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log = log.With("url", "x://u:hunter2@h").WithGroup("g")
	log.Warn("cannot use hunter2", "err", fmt.Errorf("dial: %w", errors.New("hunter2 refused")), "n", 7,
		slog.Group("in", "map", map[string]string{"a": "hunter2"}, "address", &url.URL{Scheme: "s", Host: "hunter2"}))
	log.Info("below the level hunter2")
	text := out.String()
	if strings.Contains(text, "hunter2") || strings.Count(text, Mask) != 5 || !strings.Contains(text, `"n":7`) || strings.Count(text, "\n") != 1 {
		t.Error(text)
	}
}

func TestValidateHidesSecretsOfFamilies(t *testing.T) {
	d := &Definition{Keys: []Key{{Name: "producer.override.*", Type: String}}}
	for name, want := range map[string]string{
		"producer.override.sasl.jaas.config":        HiddenValue,
		"producer.override.ssl.keystore.key":        HiddenValue,
		"producer.override.ssl.truststore.password": HiddenValue,
		"producer.override.ssl.keystore.location":   "value",
		"producer.override.linger.ms":               "value",
	} {
		infos := d.Validate(map[string]string{name: "value"})
		if got := infos.value(name).Value; got == nil || *got != want {
			t.Errorf("%s is shown as %v, want %s", name, got, want)
		}
	}
}
