package services

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account returns the credential of a user that must not be root, because the
// server refuses to run as root. It is nil when this process is not root: then
// the server runs as this user.
func account(name, mend string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("services: %w; make it with: %s", err, mend)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("services: user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("services: user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// newDir makes a folder for one server's files, owned by cred.
func newDir(kind string, cred *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "sluice-"+kind+"-")
	if err != nil {
		return "", fmt.Errorf("services: %w", err)
	}
	if err := giveTo(cred, dir); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// giveTo makes cred the owner of everything at and below path.
func giveTo(cred *syscall.Credential, path string) error {
	if cred == nil {
		return nil
	}
	err := filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(cred.Uid), int(cred.Gid))
	})
	if err != nil {
		return fmt.Errorf("services: change owner: %w", err)
	}
	return nil
}
