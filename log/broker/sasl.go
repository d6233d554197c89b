package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// anonymous is who somebody is that the listener does not ask.
const anonymous = "User:ANONYMOUS"

// errLogin is the error of a login that fails, and loginFailed what the client is told: not which half was wrong.
var errLogin = errors.New("invalid user name or password")

const loginFailed = "Authentication failed: Invalid username or password"

// exchange is a SASL exchange of a connection. step takes a message of the client and returns the answer; user is who
// it is when the exchange is done, "" before.
type exchange func(message []byte) (answer []byte, user string, err error)

// begin makes the exchange of a mechanism, nil for one that is not served.
func (u *users) begin(mechanism string) (exchange, error) {
	switch mechanism {
	case Plain:
		return u.plain, nil
	case ScramSHA256, ScramSHA512:
		conversation, err := u.scramServer(mechanism)
		if err != nil {
			return nil, err
		}
		return func(message []byte) ([]byte, string, error) {
			answer, err := conversation.Step(string(message))
			if err != nil {
				return nil, "", fmt.Errorf("%w: %w", errLogin, err)
			}
			if !conversation.Valid() {
				return []byte(answer), "", nil
			}
			return []byte(answer), conversation.Username(), nil
		}, nil
	}
	return nil, fmt.Errorf("mechanism %q is not known", mechanism)
}

// plain is the one message of PLAIN (RFC 4616): authorization id NUL user NUL password. The id must be the user or
// nothing: nobody may act for another.
func (u *users) plain(message []byte) ([]byte, string, error) {
	parts := strings.Split(string(message), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" || parts[0] != "" && parts[0] != parts[1] {
		return nil, "", fmt.Errorf("%w: the message is not authorization id, user and password", errLogin)
	}
	if !u.knows(parts[1], parts[2]) {
		return nil, "", errLogin
	}
	return []byte{}, parts[1], nil
}

// locked reports whether somebody has to log in before anything else.
func (c *conn) locked() bool { return len(c.listener.SASL) > 0 && c.who == "" }

// offers reports whether the listener lets clients log in by the mechanism.
func (c *conn) offers(mechanism string) bool { return slices.Contains(c.listener.SASL, mechanism) }
