package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// echo is a provider that shows what it was asked.
type echo struct{}

func (echo) get(path, key string) (string, error) { return "<" + path + "|" + key + ">", nil }

func substitute(text string, providers map[string]provider) substitution {
	return substitution{resolver: &Resolver{}, providers: providers, key: "k", text: text}
}

// TestPlaceholdersLikeKafka compares with what Kafka's ConfigTransformer answered with such a provider named p.
func TestPlaceholdersLikeKafka(t *testing.T) {
	type line struct{ In, Out string }
	eachLine(t, "placeholders.jsonl", func(c line) {
		s := substitute(c.In, map[string]provider{"p": echo{}})
		if got := s.run(); got != c.Out {
			t.Errorf("%q: %q, Kafka: %q", c.In, got, c.Out)
		}
	})
}

func FuzzPlaceholders(f *testing.F) {
	for _, seed := range []string{"${p:a:b}", "${p:b}", "${NAME}", "a${b${p:c}}", "${", "${p:\xff}", "${q:x}${p:${p:y}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := substitute(text, map[string]provider{"p": echo{}})
		got := s.run()
		if !strings.Contains(text, "${p:") && got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if (got != text) != (len(s.parts) > 0) {
			t.Fatalf("%q became %q, parts %v", text, got, s.parts)
		}
	})
}

// secretsDir holds a properties file, a file and a way out.
func secretsDir(t *testing.T) string {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("in/db.properties", "user: app\npassword = hun\\\n  ter2\nempty=\n")
	write("in/token", "t0ken\n")
	write("in/broken.properties", "a=\\u00g0\n")
	write("out/other.properties", "password=other\n")
	return dir
}

func TestResolve(t *testing.T) {
	dir := secretsDir(t)
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"PW": "fr0mEnv", "EMPTY": "", "NESTED": "${env:PW}", "topic": "wrong"}[name]
		return value, ok
	}
	r, problems := NewResolver(map[string]string{}, env)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	file := "${file:" + dir + "/in/db.properties:"
	tests := []struct{ name, in, want, problem string }{
		{"file", file + "password}", "hunter2", ""},
		{"file, empty value", file + "empty}", "", ""},
		{"within a text", "a" + file + "user}:" + file + "password}z", "aapp:hunter2z", ""},
		{"file, no key", file + "nope}", file + "nope}", "has no key \"nope\""},
		{"file, none", "${file:/no/such:k}", "${file:/no/such:k}", "could not read properties from file /no/such: no such file"},
		{"file, no path", "${file:k}", "${file:k}", "a file is missing"},
		{"file, malformed", "${file:" + dir + "/in/broken.properties:a}", "${file:" + dir + "/in/broken.properties:a}", "it is malformed"},
		{"dir", "${dir:" + dir + "/in:token}", "t0ken\n", ""},
		{"dir, no file", "${dir:" + dir + "/in:nope}", "${dir:" + dir + "/in:nope}", "has no file \"nope\""},
		{"dir, way out", "${dir:" + dir + "/in:../out/other.properties}", "${dir:" + dir + "/in:../out/other.properties}", "has no file"},
		{"dir, is a file", "${dir:" + dir + "/in/token:x}", "${dir:" + dir + "/in/token:x}", "is not a directory"},
		{"env", "${env:PW}", "fr0mEnv", ""},
		{"env, empty", "x${env:EMPTY}", "x", ""},
		{"env, not set", "${env:NOPE}", "${env:NOPE}", "NOPE is not set"},
		{"env, path", "${env:a:PW}", "${env:a:PW}", "path is not used for EnvVarConfigProvider, invalid value 'a'"},
		{"not nested", "${env:NESTED}", "${env:PW}", ""},
		{"unknown provider", "${vault:a:b}", "${vault:a:b}", "warning: ${vault:a:b} in k stays as it is: there is no config provider \"vault\", only dir, env, file."},
		{"bare", "${PW}", "fr0mEnv", "warning: ${PW} in k is taken from the environment"},
		{"bare, not set", "${NOPE}", "${NOPE}", "warning: ${NOPE} in k stays as it is"},
		{"bare, lower case", "${topic}-${timestamp}", "${topic}-${timestamp}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, problems := r.Resolve(map[string]string{"k": tt.in, "other": "plain"})
			if got.Config["k"] != tt.want || got.Config["other"] != "plain" {
				t.Errorf("%q", got.Config)
			}
			if _, tainted := got.Tainted["k"]; tainted != (tt.want != tt.in) || len(got.Tainted) > 1 {
				t.Errorf("tainted %q", got.Tainted)
			}
			switch {
			case tt.problem == "" && len(problems) > 0, tt.problem != "" && len(problems) != 1:
				t.Error(problems)
			case tt.problem != "" && !strings.Contains(problems[0].String(), tt.problem):
				t.Errorf("%v, want %s", problems[0], tt.problem)
			}
		})
	}
}

func TestProvidersOfWorker(t *testing.T) {
	dir := secretsDir(t)
	r, problems := NewResolver(map[string]string{
		"config.providers":                           "f, e",
		"config.providers.f.class":                   "org.apache.kafka.common.config.provider.FileConfigProvider",
		"config.providers.f.param.allowed.paths":     dir + "/in",
		"config.providers.e.class":                   "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"config.providers.e.param.allowlist.pattern": "PG.*",
	}, func(name string) (string, bool) { return "value-of-" + name, true })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	tests := []struct{ in, want string }{
		{"${f:" + dir + "/in/db.properties:user}", "app"},
		{"${f:" + dir + "/in/x/../db.properties:user}", "app"},
		{"${f:" + dir + "/out/other.properties:password}", ""},
		{"${f:" + dir + "/in/../out/other.properties:password}", ""},
		{"${f:" + dir + "/inner:x}", ""},
		{"${e:PGUSER}", "value-of-PGUSER"},
		{"${e:HOME}", ""},
		{"${e:XPG}", ""},
		{"${PGUSER}", "value-of-PGUSER"},
	}
	for _, tt := range tests {
		if strings.Contains(tt.in, "/x/../") {
			if err := os.MkdirAll(dir+"/in/x", 0o700); err != nil {
				t.Fatal(err)
			}
		}
		got, problems := r.Resolve(map[string]string{"k": tt.in})
		if tt.want == "" && (Err(problems) == nil || got.Config["k"] != tt.in) || tt.want != "" && got.Config["k"] != tt.want {
			t.Errorf("%s: %q %v", tt.in, got.Config["k"], problems)
		}
	}
	if got, _ := r.Resolve(map[string]string{"k": "${file:/x:y}"}); got.Config["k"] != "${file:/x:y}" {
		t.Error("a provider that was not declared is there")
	}
}

func TestBrokenProviders(t *testing.T) {
	tests := []struct {
		worker map[string]string
		want   string
	}{
		{map[string]string{"config.providers": "x"}, `Missing required configuration "config.providers.x.class"`},
		{map[string]string{"config.providers": "x", "config.providers.x.class": "com.acme.Vault"}, "class com.acme.Vault could not be found"},
		{map[string]string{"config.providers": "x", "config.providers.x.class": "FileConfigProvider", "config.providers.x.param.allowed.paths": "rel"}, "Path rel is not absolute"},
		{map[string]string{"config.providers": "x", "config.providers.x.class": "DirectoryConfigProvider", "config.providers.x.param.allowed.paths": "/no/such"}, "Path /no/such does not exist"},
		{map[string]string{"config.providers": "x", "config.providers.x.class": "EnvVarConfigProvider", "config.providers.x.param.allowlist.pattern": "("}, "allowlist.pattern"},
	}
	for _, tt := range tests {
		_, problems := NewResolver(tt.worker, nil)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, tt.want) {
			t.Errorf("%v, want %s", problems, tt.want)
		}
	}
}

func TestRestore(t *testing.T) {
	r, _ := NewResolver(nil, func(string) (string, bool) { return "s3cr3t", true })
	resolved, _ := r.Resolve(map[string]string{"pw": "${env:PW}", "a": "b"})
	got := resolved.Restore(map[string]string{"pw": "s3cr3t", "a": "b", "task.id": "0"})
	if !reflect.DeepEqual(got, map[string]string{"pw": "${env:PW}", "a": "b", "task.id": "0"}) {
		t.Error(got)
	}
}
