package mysql

import "errors"

// errText says that the server printed a value in a form that is not known.
var errText = errors.New("malformed value")

// textNumber reads digits.
func textNumber(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > 1e12 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// textDate reads YYYY-MM-DD.
func textDate(b []byte) (int64, error) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return 0, errText
	}
	y, ok1 := textNumber(b[:4])
	m, ok2 := textNumber(b[5:7])
	d, ok3 := textNumber(b[8:])
	if !ok1 || !ok2 || !ok3 {
		return 0, errText
	}
	return daysOf(y, m, d)
}

// textTime reads [-]HH:MM:SS[.ffffff]; there may be three digits of hours.
func textTime(b []byte) (int64, error) {
	sign := int64(1)
	if len(b) > 0 && b[0] == '-' {
		sign, b = -1, b[1:]
	}
	i := 0
	for i < len(b) && b[i] != ':' {
		i++
	}
	if len(b) < i+6 || b[i+3] != ':' {
		return 0, errText
	}
	h, ok1 := textNumber(b[:i])
	m, ok2 := textNumber(b[i+1 : i+3])
	s, ok3 := textNumber(b[i+4 : i+6])
	us, rest := int64(0), b[i+6:]
	if len(rest) > 1 && len(rest) <= 7 && rest[0] == '.' {
		var ok bool
		if us, ok = textNumber(rest[1:]); !ok {
			return 0, errText
		}
		for n := len(rest); n < 7; n++ {
			us *= 10
		}
	} else if len(rest) > 0 {
		return 0, errText
	}
	if !ok1 || !ok2 || !ok3 {
		return 0, errText
	}
	return sign * ((h*3600+m*60+s)*1e6 + us), nil
}

// textDatetime reads YYYY-MM-DD HH:MM:SS[.ffffff].
func textDatetime(b []byte) (int64, error) {
	if len(b) < 19 || b[10] != ' ' {
		if len(b) == 10 { // a default without a time
			days, err := textDate(b)
			return days * day, err
		}
		return 0, errText
	}
	days, err := textDate(b[:10])
	if err != nil {
		return 0, err
	}
	us, err := textTime(b[11:])
	return days*day + us, err
}
