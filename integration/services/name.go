package services

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// uniqueName returns a name of lower-case letters, digits and sep that no
// other test gets, also of another process.
func uniqueName(prefix, sep string) string {
	return strings.Join([]string{prefix, strconv.FormatUint(rand.Uint64(), 36)}, sep)
}
