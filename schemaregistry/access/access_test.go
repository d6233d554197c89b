package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/crypto/bcrypt"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func hashed(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func openGuard(t *testing.T, o Options) *Guard {
	t.Helper()
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// who returns who a request with such an Authorization header is from, "" if that is not known.
func who(t *testing.T, g *Guard, header string) string {
	t.Helper()
	r := &http.Request{Header: http.Header{"Authorization": {header}}}
	return whoSent(t, g, r)
}

func whoSent(t *testing.T, g *Guard, r *http.Request) string {
	t.Helper()
	principal, err := g.Authenticate(r)
	if err != nil && !errors.Is(err, ErrUnknown) {
		t.Errorf("not ErrUnknown: %v", err)
	}
	if (err == nil) != (principal != "") {
		t.Errorf("%q and %v", principal, err)
	}
	return principal
}

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestPasswords(t *testing.T) {
	g := openGuard(t, Options{Passwords: write(t, "users", "# users\n\nalice:"+hashed(t, "wonder:land")+"\nbob:"+strings.Replace(hashed(t, "b"), "$2a$", "$2y$", 1)+"\n")})
	for header, want := range map[string]string{
		basic("alice", "wonder:land"): "alice", basic("bob", "b"): "bob",
		basic("alice", "b"): "", basic("bob", ""): "", basic("", ""): "", basic("carol", "b"): "", "": "", "Basic ?": "", "Bearer b": "",
	} {
		for range 2 { // the second time from memory
			if got := who(t, g, header); got != want {
				t.Errorf("%q is %q, want %q", header, got, want)
			}
		}
	}
	for text, part := range map[string]string{"alice": "line 1", "x:$apr1$abc$def": "htpasswd -B", "\n:y": "line 2"} {
		if _, err := Open(Options{Passwords: write(t, "users", text)}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTokens(t *testing.T) {
	g := openGuard(t, Options{Tokens: write(t, "tokens", "ci: abc:def\n# none\nui:xyz\n")})
	for header, want := range map[string]string{"Bearer abc:def": "ci", "bearer xyz": "ui", "Bearer abc": "", "Bearer ": "", "Bearer": ""} {
		if got := who(t, g, header); got != want {
			t.Errorf("%q is %q, want %q", header, got, want)
		}
	}
}

func TestSignedTokens(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	g := openGuard(t, Options{Keys: write(t, "keys", string(set)), Issuer: "https://idp", Audience: "registry", Claim: "user", Now: func() time.Time { return now }})
	sign := func(alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", id))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	claims := func(changes map[string]any) map[string]any {
		c := map[string]any{"iss": "https://idp", "aud": []string{"other", "registry"}, "sub": "1", "user": "alice", "exp": now.Add(time.Hour).Unix()}
		for k, v := range changes {
			c[k] = v
			if v == nil {
				delete(c, k)
			}
		}
		return c
	}
	good := sign(jose.ES256, key, "k", claims(nil))
	for name, c := range map[string]struct{ token, want string }{
		"good":                {good, "alice"},
		"another key":         {sign(jose.ES256, other, "k", claims(nil)), ""},
		"unknown key":         {sign(jose.ES256, key, "l", claims(nil)), ""},
		"symmetric":           {sign(jose.HS256, []byte(strings.Repeat("k", 32)), "k", claims(nil)), ""},
		"expired":             {sign(jose.ES256, key, "k", claims(map[string]any{"exp": now.Add(-2 * time.Minute).Unix()})), ""},
		"never expires":       {sign(jose.ES256, key, "k", claims(map[string]any{"exp": nil})), ""},
		"not yet":             {sign(jose.ES256, key, "k", claims(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()})), ""},
		"another issuer":      {sign(jose.ES256, key, "k", claims(map[string]any{"iss": "https://evil"})), ""},
		"for another":         {sign(jose.ES256, key, "k", claims(map[string]any{"aud": "other"})), ""},
		"without a name":      {sign(jose.ES256, key, "k", claims(map[string]any{"user": nil})), ""},
		"changed":             {good[:len(good)-4] + "AAAA", ""},
		"without a signature": {strings.Join(strings.Split(good, ".")[:2], ".") + ".", ""},
	} {
		if got := who(t, g, "Bearer "+c.token); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, text := range []string{"", "{}", `{"keys":[{"kty":"oct","k":"AAAA"}]}`} {
		if _, err := Open(Options{Keys: write(t, "keys", text)}); err == nil {
			t.Errorf("%q was taken for keys", text)
		}
	}
}

func TestCertificates(t *testing.T) {
	g := openGuard(t, Options{Certificates: true})
	request := func(verified bool, name pkix.Name, dns ...string) *http.Request {
		chain := []*x509.Certificate{{Subject: name, DNSNames: dns}}
		state := &tls.ConnectionState{PeerCertificates: chain}
		if verified {
			state.VerifiedChains = [][]*x509.Certificate{chain}
		}
		return &http.Request{TLS: state}
	}
	for _, c := range []struct {
		request *http.Request
		want    string
	}{
		{request(true, pkix.Name{CommonName: "alice"}), "alice"},
		{request(true, pkix.Name{}, "service.example"), "service.example"},
		{request(true, pkix.Name{}), ""},
		{request(false, pkix.Name{CommonName: "alice"}), ""},
		{&http.Request{}, ""},
	} {
		if got := whoSent(t, g, c.request); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := whoSent(t, openGuard(t, Options{Tokens: write(t, "tokens", "a:b")}), request(true, pkix.Name{CommonName: "alice"})); got != "" {
		t.Errorf("a certificate nobody asked for is %q", got)
	}
}

func TestPermissions(t *testing.T) {
	g := openGuard(t, Options{Certificates: true, Permissions: write(t, "permissions", `
# who   what         where
alice   read,write   orders-*
alice   all          :.staging:*
ci      Read         *
*       read         public-value
`)})
	for _, c := range []struct {
		who     string
		op      Operation
		subject string
		want    bool
	}{
		{"alice", Read, "orders-value", true}, {"alice", Write, "orders-value", true}, {"alice", Delete, "orders-value", false},
		{"alice", Config, "orders-value", false}, {"alice", Read, "order", false}, {"alice", Read, ":.x:orders-value", false},
		{"alice", Delete, ":.staging:any", true}, {"alice", Config, ":.staging:", true}, {"alice", Read, "", false},
		{"alice", Read, "public-value", true}, {"alice", Read, "public-value2", false}, {"bob", Read, "public-value", true},
		{"bob", Write, "public-value", false}, {"ci", Read, "anything", true}, {"ci", Read, "", true}, {"ci", Config, "", false},
		{"", Read, "orders-value", false},
	} {
		if got := g.Allows(c.who, c.op, c.subject); got != c.want {
			t.Errorf("%s %s %q: %t", c.who, c.op, c.subject, got)
		}
	}
	if !g.AllowsAll("ci", Read) || g.AllowsAll("alice", Read) {
		t.Error("who may read everything")
	}
	for text, part := range map[string]string{"alice read": "three words", "\nalice look *": "line 2"} {
		if _, err := Open(Options{Certificates: true, Permissions: write(t, "p", text)}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Open(Options{Permissions: write(t, "p", "")}); err == nil {
		t.Error("permissions of nobody")
	}
}

func TestNobodyIsAsked(t *testing.T) {
	g := openGuard(t, Options{})
	if principal, err := g.Authenticate(&http.Request{}); principal != "" || err != nil || !g.Allows("", Config, "") {
		t.Error(principal, err)
	}
}

// A file that changed counts from the next look at it on; while it cannot be read, nobody gets in.
func TestFilesAreReadAgain(t *testing.T) {
	now := time.Now()
	path := write(t, "tokens", "a:first\n")
	g := openGuard(t, Options{Tokens: path, Now: func() time.Time { return now }})
	change := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(recheck)
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	change("b:second\n")
	if who(t, g, "Bearer first") != "" || who(t, g, "Bearer second") != "b" {
		t.Error("the old file counts")
	}
	change("broken")
	if _, err := g.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer second"}}}); err == nil || errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), "broken") {
		t.Error(err)
	}
	change("c:third\n")
	if who(t, g, "Bearer third") != "c" {
		t.Error("it does not recover")
	}
}
