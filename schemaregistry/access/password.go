package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// passwords are the users of an htpasswd file.
type passwords struct {
	hashes map[string][]byte
	other  []byte // compared with for users that are not known, so that they take as long

	// bcrypt is slow on purpose. What was right once is remembered by a quick hash in memory only, and what is wrong
	// waits for its turn: one comparison at a time cannot take more than one core.
	turn  sync.Mutex
	mu    sync.RWMutex
	right map[string][sha256.Size]byte // by user: of the password
}

// checkedCost is bcrypt's cost of what is compared for unknown users if there is no user at all.
const checkedCost = bcrypt.DefaultCost

func parsePasswords(text []byte) (*passwords, error) {
	p := &passwords{hashes: make(map[string][]byte), right: make(map[string][sha256.Size]byte)}
	err := lines(text, func(line string) error {
		user, hash, ok := strings.Cut(line, ":")
		if !ok || user == "" {
			return errors.New("want user:hash")
		}
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return fmt.Errorf("the hash of %s is not one of bcrypt: make it with htpasswd -B", user)
		}
		p.hashes[user] = []byte(hash)
		p.other = []byte(hash)
		return nil
	})
	if err == nil && p.other == nil {
		p.other, err = bcrypt.GenerateFromPassword([]byte("nobody"), checkedCost)
	}
	return p, err
}

// check reports whether the password is the user's.
func (p *passwords) check(user, password string) bool {
	sum := sha256.Sum256([]byte(password))
	p.mu.RLock()
	right, ok := p.right[user]
	p.mu.RUnlock()
	if ok && subtle.ConstantTimeCompare(right[:], sum[:]) == 1 {
		return true
	}
	hash, known := p.hashes[user]
	if !known {
		hash = p.other
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.right[user] = sum
	return true
}
