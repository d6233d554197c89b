package s3

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tokenServer answers as Amazon's token service and as the machine's metadata do. The key id that it gives says what it
// was asked for.
func tokenServer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
		fmt.Fprint(w, "t")
		return
	case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
		fmt.Fprint(w, "machine")
		return
	case strings.HasPrefix(r.URL.Path, "/latest/meta-data/"):
		fmt.Fprint(w, `{"Code":"Success","AccessKeyId":"of the machine","SecretAccessKey":"s","Token":"t","Expiration":"2199-01-01T00:00:00Z"}`)
		return
	}
	r.ParseForm()
	by, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), "/")
	id := fmt.Sprintf("%s/%s/%s/%s by %s", r.Form.Get("RoleArn"), r.Form.Get("RoleSessionName"), r.Form.Get("ExternalId"), r.Form.Get("WebIdentityToken"), cmp.Or(by, "nobody"))
	action := r.Form.Get("Action")
	fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
		`<SessionToken>t</SessionToken><Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action, id)
}

func TestCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(tokenServer))
	defer server.Close()
	dir := t.TempDir()
	files := map[string]string{"config": "", "credentials": "[default]\naws_access_key_id = of the file\naws_secret_access_key = s\n[other]\naws_access_key_id = of another\naws_secret_access_key = s\n", "token": "wwi"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const class = "s3.credentials.provider.class"
	arn, session, external := providerKey+"sts.role.arn", providerKey+"sts.role.session.name", providerKey+"sts.role.external.id"
	inEnvironment := map[string]string{"AWS_ACCESS_KEY_ID": "of the environment", "AWS_SECRET_ACCESS_KEY": "s"}
	for _, c := range []struct {
		name   string
		env    map[string]string
		config []string
		want   string // the key id; "error KEY" is an error on that key
	}{
		{"default, keys", inEnvironment, []string{"aws.access.key.id", "mine", "aws.secret.access.key", "s"}, "mine"},
		{"default, environment", inEnvironment, nil, "of the environment"},
		{"default, file", nil, nil, "of the file"},
		{"environment", inEnvironment, []string{class, "com.amazonaws.auth.EnvironmentVariableCredentialsProvider"}, "of the environment"},
		{"empty environment", nil, []string{class, "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"}, "error " + class},
		{"environment, keys", inEnvironment, []string{class, "environment", "aws.access.key.id", "mine", "aws.secret.access.key", "s"}, "mine"},
		{"profile", inEnvironment, []string{class, "com.amazonaws.auth.profile.ProfileCredentialsProvider"}, "of the file"},
		{"other profile", inEnvironment, []string{class, "profile", "aws.profile", "other"}, "of another"},
		{"no such profile", nil, []string{class, "profile", "aws.profile", "none"}, "error aws.access.key.id"},
		{"machine", inEnvironment, []string{class, "com.amazonaws.auth.InstanceProfileCredentialsProvider"}, "of the machine"},
		{"anonymous", inEnvironment, []string{class, "software.amazon.awssdk.auth.credentials.AnonymousCredentialsProvider"}, ""},
		{"role", inEnvironment, []string{class, "io.confluent.connect.s3.auth.AwsAssumeRoleCredentialsProvider", arn, "role", session, "me", external, "x"},
			"role/me/x/ by of the environment"},
		{"role, keys", nil, []string{class, "role", "aws.access.key.id", "mine", "aws.secret.access.key", "s", arn, "role"}, "role/sluice// by mine"},
		{"role by another role", nil, []string{class, "role", arn, "role", providerKey + "sts.base.role.arn", "base", providerKey + "sts.base.session.name", "me"},
			"role/sluice// by base"},
		{"web identity", nil, []string{class, "com.amazonaws.auth.WebIdentityTokenCredentialsProvider", arn, "role", providerKey + "web.identity.token.file", filepath.Join(dir, "token")},
			"role/sluice//wwi by nobody"},
		{"web identity of the environment", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": filepath.Join(dir, "token"), "AWS_ROLE_ARN": "pod", "AWS_ROLE_SESSION_NAME": "me"},
			[]string{class, "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider"}, "pod/me//wwi by nobody"},
		{"no web identity", nil, []string{class, "web", arn, "role"}, "error " + providerKey + "web.identity.token.file"},
		{"web identity without role", nil, []string{class, "web", providerKey + "web.identity.token.file", "f"}, "error " + arn},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, variable := range os.Environ() {
				if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
					t.Setenv(name, "")
				}
			}
			env := map[string]string{"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
				"AWS_ENDPOINT_URL_STS": server.URL, "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.URL}
			maps.Copy(env, c.env)
			for name, value := range env {
				t.Setenv(name, value)
			}
			config := baseConfig(c.config...)
			for _, name := range []string{"aws.access.key.id", "aws.secret.access.key"} {
				if !slices.Contains(c.config, name) {
					delete(config, name)
				}
			}
			v, problems := newDefinition().Parse(config)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			s, err := newSettings(v, config)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			b, err := newBucketStore(t.Context(), v, s)
			if err != nil {
				got = "error " + s.problem(err).Key
			} else if provider := b.client.Options().Credentials; provider != nil { // nil: requests are not signed
				found, err := provider.Retrieve(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = found.AccessKeyID
			}
			if escaped, err := url.QueryUnescape(got); err != nil || escaped != c.want {
				t.Errorf("%q, want %q; error %v", escaped, c.want, err)
			}
		})
	}
}
