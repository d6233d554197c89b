package schemaregistry

import (
	"fmt"
	"strings"
)

// A subject lives in a context, which has its own ids. Its qualified name is :.context:subject, or just subject in the
// default context. Everything here is kept under qualified names, in the shortest spelling: ":.:s" is "s".
const (
	defaultContext = "."
	globalContext  = ".__GLOBAL" // has settings only: those of last resort for all contexts
	anyContext     = "*"
	globalScope    = ":" + globalContext + ":"
)

// splitSubject takes a qualified name apart.
func splitSubject(qualified string) (context, subject string) {
	switch {
	case strings.HasPrefix(qualified, ":."):
		context, subject, _ = strings.Cut(qualified[1:], ":")
		return context, subject
	case strings.HasPrefix(qualified, ":*:"):
		return anyContext, qualified[3:]
	}
	return defaultContext, qualified
}

func contextOf(qualified string) string {
	context, _ := splitSubject(qualified)
	return context
}

func joinSubject(context, subject string) string {
	if context == defaultContext && !namesContext(subject) { // else it would be taken for a qualified name
		return subject
	}
	return ":" + context + ":" + subject
}

// namesContext reports whether a name says which context it is in, if only the default one.
func namesContext(name string) bool {
	return strings.HasPrefix(name, ":.") || strings.HasPrefix(name, ":*:")
}

// shortest returns the one spelling of a qualified name that is used as a key.
func shortest(qualified string) string {
	if strings.HasPrefix(qualified, ":") {
		return joinSubject(splitSubject(qualified))
	}
	return qualified
}

// inContext returns the name in that context, unless it names another itself.
func inContext(context, name string) string {
	if contextOf(name) == defaultContext {
		_, subject := splitSubject(name)
		return joinSubject(context, subject)
	}
	return name
}

// checkSubject refuses names that Confluent's registry refuses for subjects with schemas.
func checkSubject(qualified string) error {
	if err := checkScope(qualified); err != nil {
		return err
	}
	if c := contextOf(qualified); c == globalContext || c == anyContext {
		return invalidSubject(qualified)
	}
	return nil
}

// checkScope refuses names that can have no settings.
func checkScope(qualified string) error {
	_, subject := splitSubject(qualified)
	if subject == "__GLOBAL" || subject == "__EMPTY" {
		return invalidSubject(qualified)
	}
	for _, c := range qualified {
		if c < ' ' || c == 0x7f {
			return invalidSubject(fmt.Sprintf("%q", qualified))
		}
	}
	return nil
}

// matcher returns a test for subjects that begin with a prefix: those of its context, or of all with ":*:".
func matcher(prefix string) func(qualified string) bool {
	context, begin := splitSubject(prefix)
	return func(qualified string) bool {
		c, s := splitSubject(qualified)
		return (context == anyContext || c == context) && strings.HasPrefix(s, begin)
	}
}
