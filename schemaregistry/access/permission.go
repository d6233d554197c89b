package access

import (
	"fmt"
	"slices"
	"strings"
)

// permissions is a file of lines of three words:
//
//	alice   read,write,delete,config   orders-*
//	ci      all                        :.staging:*
//	*       read                       public-value
//
// who ("*": everybody who is known), what, and with which subject: its name, or the beginning of it and a star. A
// subject of a context is called with it; a star alone is all subjects of all contexts.
type permissions []permission

type permission struct {
	principal  string
	operations []Operation
	subject    string
	prefix     bool
}

func parsePermissions(text []byte) (permissions, error) {
	var list permissions
	err := lines(text, func(line string) error {
		words := strings.Fields(line)
		if len(words) != 3 {
			return fmt.Errorf("want three words, who, what and where, such as: alice read,write orders-*")
		}
		p := permission{principal: words[0]}
		for word := range strings.SplitSeq(words[1], ",") {
			switch op := Operation(strings.ToLower(word)); op {
			case Read, Write, Delete, Config:
				p.operations = append(p.operations, op)
			case "all":
				p.operations = append(p.operations, Read, Write, Delete, Config)
			default:
				return fmt.Errorf("%q is no operation: they are read, write, delete, config and all", word)
			}
		}
		p.subject, p.prefix = strings.CutSuffix(words[2], "*")
		list = append(list, p)
		return nil
	})
	return list, err
}

func (list permissions) allow(principal string, op Operation, subject string) bool {
	return slices.ContainsFunc(list, func(p permission) bool {
		return (p.principal == "*" || p.principal == principal) && slices.Contains(p.operations, op) && p.covers(subject)
	})
}

func (p permission) covers(subject string) bool {
	if p.prefix {
		return strings.HasPrefix(subject, p.subject)
	}
	return subject != "" && subject == p.subject
}
