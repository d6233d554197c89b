package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// provider gives the values that placeholders stand for. Its rules are those of Kafka's class of that name.
type provider interface {
	// get returns the value of a key at a path ("" if the placeholder has none). Its errors say what is wrong in a
	// sentence without a subject's name, to stand behind a placeholder.
	get(path, key string) (string, error)
}

// newProvider returns the provider of a class, configured by its parameters.
func newProvider(class string, params map[string]string, env func(string) (string, bool)) (provider, error) {
	switch class[strings.LastIndexByte(class, '.')+1:] {
	case "FileConfigProvider":
		paths, err := parseAllowedPaths(params["allowed.paths"])
		return &fileProvider{allowed: paths, read: map[string]map[string]string{}}, err
	case "DirectoryConfigProvider":
		paths, err := parseAllowedPaths(params["allowed.paths"])
		return &dirProvider{allowed: paths}, err
	case "EnvVarConfigProvider":
		return newEnvProvider(params["allowlist.pattern"], env)
	}
	return nil, fmt.Errorf("class %s could not be found; there are FileConfigProvider, EnvVarConfigProvider and "+
		"DirectoryConfigProvider", class)
}

// fileProvider is FileConfigProvider: ${file:/path/to/file.properties:key}.
type fileProvider struct {
	allowed allowedPaths
	read    map[string]map[string]string // files read, for one resolution
}

func (p *fileProvider) get(path, key string) (string, error) {
	if err := p.allowed.check(path); err != nil {
		return "", err
	}
	if path == "" {
		return "", fmt.Errorf("a file is missing: ${file:/path/to/file.properties:key}")
	}
	entries, ok := p.read[path]
	if !ok {
		data, err := readFile(path)
		if err != nil {
			return "", fmt.Errorf("could not read properties from file %s: %s", path, reason(err))
		}
		list, problems := ParseProperties(data)
		if err := Err(problems); err != nil {
			return "", fmt.Errorf("could not read properties from file %s: it is malformed", path)
		}
		entries = map[string]string{}
		for _, e := range list {
			entries[e.Key] = e.Value
		}
		p.read[path] = entries
	}
	value, ok := entries[key]
	if !ok {
		return "", fmt.Errorf("the file %s has no key %q", path, key)
	}
	return value, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// dirProvider is DirectoryConfigProvider: ${dir:/path/to/directory:file}; the value is the whole content of the file.
type dirProvider struct{ allowed allowedPaths }

func (p *dirProvider) get(path, key string) (string, error) {
	if err := p.allowed.check(path); err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%q is not a directory", path)
	}
	// A key is the name of a file in the directory itself, never a way out of it.
	name := filepath.Join(path, key)
	info, err := os.Stat(name)
	if key == "" || strings.ContainsRune(key, filepath.Separator) || err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("the directory %s has no file %q", path, key)
	}
	data, err := readFile(name)
	if err != nil {
		return "", fmt.Errorf("could not read file %s: %s", name, reason(err))
	}
	return string(data), nil
}

// envProvider is EnvVarConfigProvider: ${env:NAME}.
type envProvider struct {
	allowed *regexp.Regexp // of the whole name; nil allows all
	lookup  func(string) (string, bool)
}

func newEnvProvider(pattern string, env func(string) (string, bool)) (provider, error) {
	p := &envProvider{lookup: env}
	if pattern == "" {
		return p, nil
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("allowlist.pattern: %w", err)
	}
	p.allowed = re
	return p, nil
}

func (p *envProvider) get(path, key string) (string, error) {
	if path != "" {
		return "", fmt.Errorf("path is not used for EnvVarConfigProvider, invalid value '%s'", path)
	}
	if p.allowed != nil && !p.allowed.MatchString(key) {
		return "", fmt.Errorf("the environment variable %s is not allowed by allowlist.pattern", key)
	}
	value, ok := p.lookup(key)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", key)
	}
	return value, nil
}

// allowedPaths are the roots that a provider may read below; nil allows all.
type allowedPaths []string

func parseAllowedPaths(text string) (allowedPaths, error) {
	if text == "" {
		return nil, nil
	}
	var paths allowedPaths
	for part := range strings.SplitSeq(text, ",") {
		path := filepath.Clean(strings.TrimSpace(part))
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("allowed.paths: Path %s is not absolute", path)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("allowed.paths: Path %s does not exist", path)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// check compares paths by their text, ".." taken out, as Kafka does: symbolic links are not followed, because
// mounted secrets are such links.
func (a allowedPaths) check(path string) error {
	clean := filepath.Clean(path)
	below := func(root string) bool {
		return clean == root || strings.HasPrefix(clean, strings.TrimSuffix(root, "/")+"/")
	}
	if a == nil || slices.ContainsFunc(a, below) {
		return nil
	}
	return fmt.Errorf("the path %s is not within allowed.paths", path)
}
