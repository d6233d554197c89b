package access

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokens are principals by the hash of their token: a lookup by the token itself would tell by its time how much of it
// is right.
type tokens map[[sha256.Size]byte]string

func parseTokens(text []byte) (tokens, error) {
	t := make(tokens)
	return t, lines(text, func(line string) error {
		principal, token, ok := strings.Cut(line, ":")
		if principal, token = strings.TrimSpace(principal), strings.TrimSpace(token); !ok || principal == "" || token == "" {
			return errors.New("want principal:token")
		}
		t[sha256.Sum256([]byte(token))] = principal
		return nil
	})
}

func (t tokens) find(token string) (principal string, ok bool) {
	principal, ok = t[sha256.Sum256([]byte(token))]
	return principal, ok
}

// keys verify signed tokens.
type keys struct{ set jose.JSONWebKeySet }

// algorithms are those of public keys. A JWKS file with a symmetric key would make a secret of the file.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
}

func parseKeys(text []byte) (*keys, error) {
	var k keys
	if err := json.Unmarshal(text, &k.set); err != nil {
		return nil, fmt.Errorf("not a JWKS document: %w", err)
	}
	for _, key := range k.set.Keys {
		if !key.Valid() || !key.IsPublic() {
			return nil, fmt.Errorf("the key %q is not a public key", key.KeyID)
		}
	}
	if len(k.set.Keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return &k, nil
}

// leeway is how far clocks may differ.
const leeway = time.Minute

// verify returns who a signed token is about.
func (k *keys) verify(token string, o Options) (principal string, err error) {
	parsed, err := jwt.ParseSigned(token, algorithms())
	if err != nil {
		return "", fmt.Errorf("%w: the token is not known, and not signed", ErrUnknown)
	}
	var standard jwt.Claims
	all := make(map[string]any)
	if err := k.claims(parsed, &standard, &all); err != nil {
		return "", fmt.Errorf("%w: no key fits the token's signature", ErrUnknown)
	}
	expected := jwt.Expected{Issuer: o.Issuer, Time: o.Now()}
	if o.Audience != "" {
		expected.AnyAudience = jwt.Audience{o.Audience}
	}
	if standard.Expiry == nil {
		return "", fmt.Errorf("%w: the token never expires", ErrUnknown)
	}
	if err := standard.ValidateWithLeeway(expected, leeway); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	principal, _ = all[o.Claim].(string)
	if principal == "" {
		return "", fmt.Errorf("%w: the token has no claim %s", ErrUnknown, o.Claim)
	}
	return principal, nil
}

// claims reads a token with the key that its header names, or with the one that fits.
func (k *keys) claims(token *jwt.JSONWebToken, into ...any) error {
	candidates := k.set.Keys
	if len(token.Headers) > 0 && token.Headers[0].KeyID != "" {
		candidates = k.set.Key(token.Headers[0].KeyID)
	}
	for _, key := range candidates {
		if token.Claims(key.Key, into...) == nil {
			return nil
		}
	}
	return errors.New("no key fits")
}

// named returns who a certificate is about: its common name, or else its first other name.
func named(c *x509.Certificate) (string, error) {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName, nil
	case len(c.URIs) > 0:
		return c.URIs[0].String(), nil
	case len(c.DNSNames) > 0:
		return c.DNSNames[0], nil
	}
	return "", fmt.Errorf("%w: the certificate has no name", ErrUnknown)
}
