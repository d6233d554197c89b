package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Operation is what somebody may do with a subject.
type Operation string

// The operations. Config is to change compatibility and mode.
const (
	Read   Operation = "read"
	Write  Operation = "write"
	Delete Operation = "delete"
	Config Operation = "config"
)

// Options say where credentials and permissions are. Files that are not named are not asked.
type Options struct {
	Passwords string // user:bcrypt hash, as htpasswd -B writes it
	Tokens    string // principal:token
	Keys      string // JWKS: keys that sign tokens
	Issuer    string // of signed tokens; "" for any
	Audience  string // of signed tokens; "" for any
	Claim     string // of signed tokens: who it is; "" for sub
	// Certificates: a client's certificate, which the TLS listener has verified, says who it is.
	Certificates bool
	// Permissions is who may do what; "": all who are known may do everything.
	Permissions string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Any reports whether there is a way to say who one is.
func (o Options) Any() bool {
	return o.Passwords != "" || o.Tokens != "" || o.Keys != "" || o.Certificates
}

// Guard authenticates requests and knows what is permitted. Its methods may be called by several goroutines at once.
// A nil Guard lets everybody do everything.
type Guard struct {
	options     Options
	passwords   *file[*passwords]
	tokens      *file[tokens]
	keys        *file[*keys]
	permissions *file[permissions]
}

// ErrUnknown says that a request does not prove who sent it.
var ErrUnknown = errors.New("no credentials that are known here")

// Open reads the files, and returns nil if nobody is to be asked.
func Open(o Options) (*Guard, error) {
	if !o.Any() {
		if o.Permissions != "" {
			return nil, errors.New("there are permissions, but no passwords, tokens, keys or certificates to know anybody by")
		}
		return nil, nil
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Claim == "" {
		o.Claim = "sub"
	}
	g := &Guard{options: o}
	var errs [4]error
	g.passwords, errs[0] = openFile(o.Passwords, o.Now, parsePasswords)
	g.tokens, errs[1] = openFile(o.Tokens, o.Now, parseTokens)
	g.keys, errs[2] = openFile(o.Keys, o.Now, parseKeys)
	g.permissions, errs[3] = openFile(o.Permissions, o.Now, parsePermissions)
	return g, errors.Join(errs[:]...)
}

// Authenticate returns who sent a request. An Authorization header counts before a certificate. Errors wrap
// ErrUnknown, unless a file cannot be read any more.
func (g *Guard) Authenticate(r *http.Request) (principal string, err error) {
	if g == nil {
		return "", nil
	}
	if user, password, ok := r.BasicAuth(); ok {
		return g.byPassword(user, password)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return g.byToken(strings.TrimSpace(token))
	}
	if g.options.Certificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return named(r.TLS.VerifiedChains[0][0])
	}
	return "", ErrUnknown
}

func (g *Guard) byPassword(user, password string) (string, error) {
	known, err := g.passwords.get()
	if err != nil {
		return "", err
	}
	if known == nil || !known.check(user, password) {
		return "", fmt.Errorf("%w: the user name or the password is wrong", ErrUnknown)
	}
	return user, nil
}

func (g *Guard) byToken(token string) (string, error) {
	known, err := g.tokens.get()
	if err != nil {
		return "", err
	}
	if principal, ok := known.find(token); ok {
		return principal, nil
	}
	signed, err := g.keys.get()
	if err != nil {
		return "", err
	}
	if signed == nil {
		return "", fmt.Errorf("%w: the token is not known", ErrUnknown)
	}
	return signed.verify(token, g.options)
}

// Allows reports whether the principal may do that with the subject, by its name with its context. "" is what belongs
// to no subject: only a permission for all subjects covers it.
func (g *Guard) Allows(principal string, op Operation, subject string) bool {
	if g == nil || g.permissions == nil {
		return true
	}
	list, err := g.permissions.get()
	return err == nil && list.allow(principal, op, subject)
}

// AllowsAll reports whether the principal may do that with every subject, so that asking for each can be saved.
func (g *Guard) AllowsAll(principal string, op Operation) bool { return g.Allows(principal, op, "") }
