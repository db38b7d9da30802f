package main

import "slices"

// spread is what is printed of many values.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// spreadOf is all zero for no values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{Min: slices.Min(values), Median: median(values), Max: slices.Max(values)}
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}

// ratios divides pairwise; a pair with a zero below is left out.
func ratios(above, below []float64) []float64 {
	var r []float64
	for i := range min(len(above), len(below)) {
		if below[i] != 0 {
			r = append(r, above[i]/below[i])
		}
	}
	return r
}
