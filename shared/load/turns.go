package load

// Turns is how often each of several ways is measured: the machine is not the same from one moment to the next.
const Turns = 3

// InTurn measures ways one after the other, Turns times, and returns the mean of each.
func InTurn(ways ...func() (float64, error)) ([]float64, error) {
	means := make([]float64, len(ways))
	for range Turns {
		for i, measure := range ways {
			rate, err := measure()
			if err != nil {
				return nil, err
			}
			means[i] += rate / Turns
		}
	}
	return means, nil
}

// DoorAim is the part of the direct way's speed that the front door should leave.
const DoorAim = 0.95
