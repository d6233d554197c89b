package mysql

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// TestPatiently asks for a lock that others have: how long for, and when.
func TestPatiently(t *testing.T) {
	busy := &mysql.MyError{Code: erLockWaitTimeout}
	for _, c := range []struct {
		most time.Duration
		had  int // the attempt that has the lock; 0 is none
		want string
	}{
		{10 * time.Second, 0, "[0s:1s 5s:2s 15s:4s 35s:3s] 38s"},
		{10 * time.Second, 2, "[0s:1s 5s:2s] 5s"},
		{1999 * time.Millisecond, 0, "[0s:1s] 1s"},
		{4 * time.Second, 0, "[0s:1s 5s:2s 15s:1s] 16s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var asked []string
			err := patiently(t.Context(), c.most, func(wait, _ time.Duration) error {
				asked = append(asked, fmt.Sprint(time.Since(begin), ":", wait))
				if len(asked) == c.had {
					return nil
				}
				time.Sleep(wait)
				return busy
			})
			if got := fmt.Sprint(asked, " ", time.Since(begin)); got != c.want || (err == nil) != (c.had > 0) {
				t.Errorf("within %s: %s %v, want %s", c.most, got, err, c.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := patiently(ctx, time.Minute, func(time.Duration, time.Duration) error { return busy })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a pause ends with %v", err)
		}
	})
	denied := &mysql.MyError{Code: erSpecificAccess}
	if err := patiently(t.Context(), time.Minute, func(time.Duration, time.Duration) error { return denied }); err != error(denied) {
		t.Errorf("without the right: %v", err)
	}
}
