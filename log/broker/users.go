package broker

import (
	"cmp"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/log"
	"github.com/xdg-go/scram"
)

// Mechanisms of SASL that are served.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// Bounds of the iterations of a credential, as Kafka has them.
const (
	minIterations = 4096
	maxIterations = 16384
)

// mechanismNames are by Kafka's numbers of SCRAM mechanisms; 0 is unknown.
func mechanismName(number int8) string {
	switch number {
	case 1:
		return ScramSHA256
	case 2:
		return ScramSHA512
	}
	return ""
}

func mechanismNumber(name string) int8 {
	if name == ScramSHA256 {
		return 1
	}
	return 2
}

// newHash returns the hash function of a SCRAM mechanism.
func newHash(mechanism string) func() hash.Hash {
	if mechanism == ScramSHA256 {
		return sha256.New
	}
	return sha512.New
}

// login names a credential.
type login struct {
	User      string `json:"user"`
	Mechanism string `json:"mechanism"`
}

func (l login) compare(o login) int {
	return cmp.Or(cmp.Compare(l.User, o.User), cmp.Compare(l.Mechanism, o.Mechanism))
}

// credential proves that somebody knows a password, and does not hold it (RFC 5802 §3).
type credential struct {
	login
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

// newCredential derives a credential from the password as PBKDF2 has salted it.
func newCredential(l login, iterations int, salt, salted []byte) credential {
	h := newHash(l.Mechanism)
	key := func(name string) []byte {
		m := hmac.New(h, salted)
		m.Write([]byte(name))
		return m.Sum(nil)
	}
	stored := h()
	stored.Write(key("Client Key"))
	return credential{l, iterations, salt, stored.Sum(nil), key("Server Key")}
}

// provenBy reports whether the credential was derived from the password.
func (c credential) provenBy(password string) bool {
	h := newHash(c.Mechanism)
	salted, err := pbkdf2.Key(h, password, c.Salt, c.Iterations, h().Size())
	return err == nil && subtle.ConstantTimeCompare(newCredential(c.login, c.Iterations, c.Salt, salted).StoredKey, c.StoredKey) == 1
}

// usersState is the name under which the log keeps the credentials, as JSON.
const usersState = "users"

// users are the credentials of all who may log in. Its methods may be called from several goroutines.
type users struct {
	log *log.Log

	mu    sync.RWMutex
	known map[login]credential
}

// openUsers reads the credentials that the log keeps.
func openUsers(l *log.Log) (*users, error) {
	u := &users{log: l, known: map[login]credential{}}
	content, err := l.LoadState(usersState)
	if err != nil || content == nil {
		return u, err
	}
	var list []credential
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("the stored users are no JSON: %w", err)
	}
	for _, c := range list {
		u.known[c.login] = c
	}
	return u, nil
}

// find returns a credential.
func (u *users) find(l login) (credential, bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	c, ok := u.known[l]
	return c, ok
}

// list returns all credentials, in the order of users and mechanisms.
func (u *users) list() []credential {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.SortedFunc(maps.Values(u.known), func(a, b credential) int { return a.compare(b.login) })
}

// change removes and adds credentials. They are durable when it returns, or none has changed.
func (u *users) change(remove []login, add []credential) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := maps.Clone(u.known)
	for _, l := range remove {
		delete(known, l)
	}
	for _, c := range add {
		known[c.login] = c
	}
	content, err := json.Marshal(slices.SortedFunc(maps.Values(known), func(a, b credential) int { return a.compare(b.login) }))
	if err != nil {
		return fmt.Errorf("write the users as JSON: %w", err)
	}
	if err := u.log.SaveState(usersState, content); err != nil {
		return err
	}
	u.known = known
	return nil
}

// scramServer begins the server's part of a SCRAM exchange (RFC 5802).
func (u *users) scramServer(mechanism string) (*scram.ServerConversation, error) {
	s, err := scram.HashGeneratorFcn(newHash(mechanism)).NewServer(func(user string) (scram.StoredCredentials, error) {
		c, ok := u.find(login{user, mechanism})
		if !ok {
			return scram.StoredCredentials{}, errLogin
		}
		return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(c.Salt), Iters: c.Iterations}, StoredKey: c.StoredKey, ServerKey: c.ServerKey}, nil
	})
	if err != nil {
		return nil, err
	}
	return s.NewConversation(), nil
}

// knows reports whether the user has that password, by any of the user's credentials.
func (u *users) knows(user, password string) bool {
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		if c, ok := u.find(login{user, mechanism}); ok {
			return c.provenBy(password)
		}
	}
	return false
}
