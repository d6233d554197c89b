//go:build !linux

package vfs

import (
	"errors"
	"os"
)

func datasync(f *os.File) error { return f.Sync() }

func forget(*os.File) error { return errors.ErrUnsupported }

func reserve(*os.File, int64) error { return errors.ErrUnsupported }
